SELECT sample, count(*) AS scored, count(*) FILTER (NOT correct) AS wrong, round(avg(s.loss), 4) AS loss
FROM {scores} AS s
GROUP BY sample ORDER BY {order}avg(s.loss){direction}, sample LIMIT {most};
