import test from "node:test";
import { type Change, change, eachLeavesItsRecord } from "../records/audit/support/recorded-changes.ts";
import { bucketWorld, create, made, PATH } from "./support.ts";

type World = Awaited<ReturnType<typeof bucketWorld>>;

let names = 0;
const bucket = ({ prism }: World): Promise<string> => made(prism, { name: `bucket ${++names}` });

const CHANGES: readonly Change<World>[] = [
  change({
    action: "bucket.balance",
    resourceType: "bucket",
    run: ({ prism }: World) => create(prism, { name: `made ${++names}` }),
  }),
  change({
    action: "bucket.threshold",
    resourceType: "bucket",
    prepare: bucket,
    run: ({ prism }: World, id) => prism.put(`${PATH}/${id}/threshold`, { threshold: "1" }),
  }),
  change({
    action: "bucket.balance",
    resourceType: "bucket",
    prepare: bucket,
    run: ({ prism }: World, id) => prism.put(`${PATH}/${id}/balance`, { delta: "-99" }),
  }),
  change({
    action: "bucket.balance",
    resourceType: "bucket",
    prepare: bucket,
    run: ({ prism }: World, id) => prism.delete(`${PATH}/${id}`),
  }),
];

test("12.10 what changes a bucket's amounts leaves its record, in the transaction of the change", async (t) => {
  await eachLeavesItsRecord(t, await bucketWorld(t), CHANGES);
});
