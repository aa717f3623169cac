PIVOT (
  SELECT epoch + 1 AS epoch, layer, round(100 * nonzero / ({weights}), 2) AS value
  FROM {layers} WHERE {shown}
) ON layer IN ({shown_layers}) USING first(value) GROUP BY epoch ORDER BY epoch;
