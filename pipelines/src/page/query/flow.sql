WITH changes AS (  -- two rows about a sample in one epoch change its weight only
  SELECT epoch, sample, sum(diff) AS change FROM {sieves} WHERE epoch > 0 GROUP BY ALL
), flow AS (
  SELECT {number} AS epoch, count(*) FILTER (change > 0) AS entering,
         count(*) FILTER (change < 0) AS leaving
  FROM changes GROUP BY ALL
)
SELECT epoch, coalesce(entering, 0) AS entering, coalesce(leaving, 0) AS leaving, active
FROM (SELECT epoch + 1 AS epoch, active_samples AS active FROM {epochs} WHERE {shown})
LEFT JOIN flow USING (epoch) ORDER BY epoch;
