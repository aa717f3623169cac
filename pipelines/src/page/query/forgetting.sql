SELECT CASE WHEN times IS NOT NULL THEN least(times, {most}) END AS forgotten, count(*) AS samples
FROM (SELECT sample, CASE WHEN bool_or(correct) THEN count(*) FILTER (was AND NOT correct) END AS times
      FROM (SELECT sample, correct, lag(correct) OVER (PARTITION BY sample ORDER BY epoch, step) AS was
            FROM {scores})
      GROUP BY sample)
GROUP BY ALL ORDER BY forgotten NULLS LAST;
