PIVOT (
  SELECT epoch + 1 AS epoch, {blocks}[layer + 1] AS block, round(min(measure), 5) AS value
  FROM {similarity} WHERE {shown} GROUP BY ALL
) ON block IN ({shown_blocks}) USING first(value) GROUP BY epoch ORDER BY epoch;
