SELECT epoch + 1 AS epoch, {columns}
FROM (SELECT *, {elapsed} AS elapsed FROM {epochs})
WHERE {shown} ORDER BY epoch;
