SELECT epoch + 1 AS epoch, step + 1 AS step, list(layer ORDER BY layer) AS layers,
       CASE WHEN diff > 0 THEN 'freeze' ELSE 'thaw' END AS change, reason
FROM {freezes}
GROUP BY epoch, step, diff, reason ORDER BY epoch, step, diff, reason LIMIT {most};
