// Does with docker-registry-client what a pull does, and prints what came as one JSON object.
// Argument: {"name", "tag", "scheme", "username"?, "password"?, "insecure"?, "term"?}

'use strict';

const crypto = require('crypto');
const drc = require('docker-registry-client');

const task = JSON.parse(process.argv[2]);
const options = { name: task.name, scheme: task.scheme, username: task.username, password: task.password,
                  insecure: task.insecure };

const ask = (client, method, ...words) => new Promise((resolve, reject) =>
    client[method](...words, (error, result) => error ? reject(error) : resolve(result)));

const readLayer = async (client, imgId) => {
    const stream = await ask(client, 'getImgLayerStream', { imgId });
    const hash = crypto.createHash('sha256');
    let size = 0;
    for await (const block of stream) {
        hash.update(block);
        size += block.length;
    }
    return { size, sha256: hash.digest('hex') };
};

const pull = async () => {
    const client = drc.createClientV1(options);
    const ping = await ask(client, 'ping');
    const images = await ask(client, 'listRepoImgs');
    const tags = await ask(client, 'listRepoTags');
    const imgId = await ask(client, 'getImgId', { tag: task.tag });
    const ancestry = await ask(client, 'getImgAncestry', { imgId });
    const jsons = {}, layers = {};
    for (const id of ancestry) {
        jsons[id] = await ask(client, 'getImgJson', { imgId: id });
        layers[id] = await readLayer(client, id);
    }
    const found = await ask(client, 'search', { term: task.term || '' });
    client.close();
    return { ping, images, tags, imgId, ancestry, jsons, layers, found };
};

pull().then(
    (result) => { process.stdout.write(JSON.stringify(result)); process.exit(0); },
    (error) => { process.stdout.write(JSON.stringify({ failed: error.statusCode || String(error) })); process.exit(1); });
