// The published JavaScript SDK against a Covey server: a batch of videos is created, watched, read, listed, canceled and
// deleted. Exits with 0 if everything was as it should be.
//
//   npm install twelvelabs-js@1.3.4
//   COVEY_API_KEY=covey_sk_… COVEY_URL=http://127.0.0.1:8000 node twelvelabs.mjs clip.mp4
//
// COVEY_ASSET names an asset that is there already, instead of a file. The SDK takes no
// model name but TwelveLabs' own, so the server's settings have to say what stands behind it: [models."pegasus1.5"].

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import sdk from "twelvelabs-js";

const { COVEY_URL = "http://127.0.0.1:8000", COVEY_API_KEY } = process.env;
process.env.TWELVELABS_BASE_URL = `${COVEY_URL}/v1.3`;
const client = new sdk.TwelveLabs({ apiKey: COVEY_API_KEY });
const { batches } = client.analyzeAsync;

async function uploaded(file) {
  const asset = await client.assets.create({ method: "direct", file: createReadStream(file) });
  for (;;) {
    const found = await client.assets.retrieve(asset.id);
    if (found.status !== "processing") {
      assert.equal(found.status, "ready");
      return found.id;
    }
    await wait(500);
  }
}

async function until(batchId, ...statuses) {
  for (;;) {
    const batch = await batches.retrieve(batchId);
    const parts = ["queuedItems", "processingItems", "readyItems", "failedItems", "canceledItems"];
    assert.equal(parts.reduce((sum, part) => sum + batch[part], 0), batch.totalItems);
    if (statuses.includes(batch.status)) return batch;
    await wait(100);
  }
}

async function refused(status, code, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.statusCode, status);
    assert.equal(error.body?.error?.code ?? error.body?.code, code);
    return;
  }
  assert.fail(`${code} was not refused`);
}

const assetId = process.env.COVEY_ASSET ?? (await uploaded(process.argv[2]));
const inputText = "What text is shown on screen?";
const requests = [...Array(50).keys()].map((n) => ({ video: { type: "asset_id", assetId }, customId: `item-${n}` }));
const asked = { modelName: "pegasus1.5", analysisMode: "general", defaults: { prompt: { inputText } }, requests };

const made = await batches.create(asked);
assert.equal(made.totalItems, requests.length);
const done = await until(made.batchId, "completed");
assert.equal(done.readyItems, requests.length);

const lines = [];
for await (const line of await batches.results(made.batchId)) lines.push(line);
assert.deepEqual(lines.map((line) => line.taskId), made.items.map((item) => item.taskId));
assert.ok(lines.every((line) => line.status === "ready" && line.data.data.length > 0));
console.log(`${lines.length} answers; the first: ${lines[0].data.data.slice(0, 80)}`);

const listed = [];
for await (const batch of await batches.list({ pageLimit: 1 })) listed.push(batch.batchId);
assert.ok(listed.includes(made.batchId));
assert.equal((await client.analyzeAsync.tasks.retrieve(made.items[0].taskId)).status, "ready");

await refused(409, "batch_completed", () => batches.cancel(made.batchId));
const nowhere = { type: "asset_id", assetId: "68f4ddaf8aaa60d33df0e800" };
await refused(404, "resource_not_exist", () => batches.create({ ...asked, requests: [{ video: nowhere }] }));
await refused(400, "parameter_invalid", () => batches.create({ ...asked, requests: [...requests, ...requests] }));
await batches.delete(made.batchId);
await refused(404, "resource_not_exist", () => batches.retrieve(made.batchId));

const second = await batches.create(asked);
const stopped = await batches.cancel(second.batchId);
assert.ok(["canceling", "canceled"].includes(stopped.status));
await until(second.batchId, "canceled");
await refused(409, "batch_canceled", () => batches.cancel(second.batchId));
await batches.delete(second.batchId);
console.log("Everything as it should be");
