import assert from "node:assert/strict";
import test from "node:test";
import { rowsOf } from "../../../helpers/tables.ts";
import { type Change, change, eachLeavesItsRecord } from "../../records/audit/support/recorded-changes.ts";
import { Mailbox, PATH } from "./support/mailbox.ts";

const LATER = { recipientId: "vic", content: "for your eyes only", delayMs: 86_400_000 };

/**
 * So that no job is under way, which the proof waits for, messages are sent and withdrawn as they
 * are proven.
 */
const CHANGES: readonly Change<Mailbox>[] = [
  {
    action: "message.send",
    resourceType: "message",
    run: ({ prism, uma }) => prism.post(PATH, LATER, { token: uma.token }),
  },
  change({
    action: "message.cancel",
    resourceType: "message",
    prepare: (box: Mailbox) => box.send(LATER),
    run: (box: Mailbox, id: string) => box.cancel(id),
  }),
];

test("8.7 sending and withdrawing leave their record in the transaction of the change", async (t) => {
  const box = await Mailbox.open(t);
  await eachLeavesItsRecord(t, box, CHANGES);
  const rows = rowsOf<{ action: string; metadata: string; userId: string }>(
    box.prism,
    "select action, metadata, userId from audit_log where action like 'message.%' order by seq limit 1",
  );
  const metadata = JSON.stringify({ recipientId: box.vic.id, delayMs: LATER.delayMs });
  assert.deepEqual(rows, [{ action: "message.send", metadata, userId: box.uma.id }]);
  assert.ok(!JSON.stringify(rowsOf(box.prism, "select * from audit_log")).includes("eyes"));
});
