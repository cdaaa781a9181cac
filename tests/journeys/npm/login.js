// Logs in as docker-registry-client does; prints {"status"} or {"failed"}.
// Argument: {"indexName", "username", "password", "email", "insecure"?}

'use strict';

const drc = require('docker-registry-client');

drc.loginV1(JSON.parse(process.argv[2]), (error, result) => {
    process.stdout.write(JSON.stringify(error ? { failed: error.message } : result));
    process.exit(error ? 1 : 0);
});
