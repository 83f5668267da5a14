-- What the server is: its version as a number, the database's encoding, and whether there is a schema of Covey's.
SELECT current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    to_regclass('covey_schema') IS NOT NULL AS made
