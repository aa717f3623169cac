SELECT epoch + 1 AS epoch,
       round(100 * (forward_flops::DOUBLE + backward_flops) / dense_flops, 2) AS computed,
       round({seconds}, 2) AS seconds, round(training, 2) AS training{of_dense}
FROM {epochs}
LEFT JOIN (SELECT epoch, sum(seconds) AS training FROM {timings}
           WHERE stage IN ({stages}) GROUP BY epoch) USING (epoch)
WHERE {shown} ORDER BY epoch;
