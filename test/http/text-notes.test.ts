import assert from "node:assert/strict";
import test from "node:test";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";

test("the log says of which request the text was not UTF-8, also where it has no line for others", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const send = (path: string, body: string): Promise<{ status: number }> =>
    prism.post(path, Buffer.from(body, "latin1"));
  await send("/api/v1/events", '{"type":"a","payload":{"t":"St\xf6rung"}}');
  await send("/api/v1/events", '{"type":"b"}');
  await send("/api/v1/notifications", '{"userId":"me","title":"St\xf6rung","message":"m"}');
  const noted = log.lines.filter(({ message, fields }) => message === "request" && fields["body"] !== undefined);
  assert.deepEqual(
    noted.map(({ fields }) => [fields["route"], fields["body"]]),
    ["/api/v1/events", "/api/v1/notifications"].map((route) => [route, "the text is not UTF-8: read as windows-1252"]),
  );
});
