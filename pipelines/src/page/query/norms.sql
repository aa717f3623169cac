PIVOT (
  SELECT {number} AS epoch, layer, round(sqrt(avg(l2::DOUBLE * l2)), 6) AS value
  FROM {gradients} GROUP BY ALL
) ON layer IN ({shown_layers}) USING first(value) GROUP BY epoch ORDER BY epoch;
