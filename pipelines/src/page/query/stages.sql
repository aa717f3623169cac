SELECT stage, round(sum(seconds), 2) AS seconds, sum(calls) AS calls,
       round(100 * sum(seconds) / sum(sum(seconds)) OVER (), 1) AS percent
FROM {timings}
GROUP BY stage ORDER BY sum(seconds) DESC, stage LIMIT {most};
