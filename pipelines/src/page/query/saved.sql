WITH reading AS (  -- layers that read the images, and the FLOPs of a weight there
  SELECT epoch, sum(nonzero::DOUBLE * flops) AS flops
  FROM {layers} JOIN (VALUES {reading}) AS layers(layer, flops) USING (layer) GROUP BY epoch
), counted AS (  -- a sample costs {sample} FLOPs when dense
  SELECT epoch, dense_flops::DOUBLE AS dense, (forward_flops + backward_flops)::DOUBLE AS computed,
         CASE frozen_layers WHEN 0 THEN 0 ELSE
           2 * forward_flops::DOUBLE - active_samples * flops - backward_flops END AS frozen,
         active_samples * {sample}::DOUBLE AS unsieved, {extra} AS extra
  FROM {epochs} JOIN reading USING (epoch)
)
SELECT epoch + 1 AS epoch, round(dense / 1e9, 3) AS dense_gflops,
       round(100 * computed / dense, 2) AS computed,
       round(100 * frozen / dense, 2) AS freezing,
       round(100 * (unsieved - computed - frozen) / dense, 2) AS mask,
       round(100 * (1 - unsieved / dense), 2) AS sieving,
       round(100 * extra / dense, 2) AS extra
FROM counted WHERE {shown} ORDER BY epoch;
