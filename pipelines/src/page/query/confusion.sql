SELECT label, class AS predicted, count(*) AS images
FROM {predictions}
JOIN (SELECT file_row_number AS sample, label
      FROM read_parquet({test}, file_row_number = true)) USING (sample)
WHERE epoch = {epoch} AND "set" = 'test'
GROUP BY ALL ORDER BY images DESC, label, predicted LIMIT {most};
