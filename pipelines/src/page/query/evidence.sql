SELECT epoch + 1 AS epoch, "window" + 1 AS "window", block, round(measure, 8) AS measure,
       round(threshold, 8) AS threshold
FROM {freeze_evidence} ORDER BY epoch, block LIMIT {most};
