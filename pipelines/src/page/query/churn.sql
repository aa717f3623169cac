SELECT epoch, dropped, grown, round(100 * grown / nonzero, 2) AS grown_percent
FROM (SELECT {number} AS epoch, count(*) FILTER (diff < 0) AS dropped, count(*) FILTER (diff > 0) AS grown
      FROM {masks} WHERE epoch > 0 OR step > 0 GROUP BY ALL)
JOIN (SELECT epoch + 1 AS epoch, nonzero FROM {epochs}) USING (epoch)
ORDER BY epoch;
