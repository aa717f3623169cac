SELECT sample, count(*) FILTER (change > 0) AS entering, count(*) FILTER (change < 0) AS leaving
FROM (SELECT epoch, sample, sum(diff) AS change FROM {sieves} WHERE epoch > 0 GROUP BY ALL)
WHERE change <> 0 GROUP BY sample ORDER BY count(*) DESC, sample LIMIT {most};
