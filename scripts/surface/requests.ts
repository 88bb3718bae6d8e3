// Requests to each route of the API with their answers, one file for each tag; the protocols of other
// programs, and chains of requests that cannot be derived from the document.
import type { Context } from "./lib/context.ts";
import { recordOperation } from "./lib/wire/derived.ts";
import { type ApiDocument, baselineDocument } from "./lib/wire/document.ts";
import { inLanes } from "./lib/wire/lanes.ts";
import { recordAliases, recordMethods } from "./lib/wire/routes.ts";
import { STORIES } from "./lib/wire/stories/index.ts";
import { tell } from "./lib/wire/story.ts";
import { Transcript } from "./lib/wire/transcript.ts";
import { makeWorld, nameWorld, type World } from "./lib/wire/world.ts";

interface Part {
  readonly name: string;
  run(world: World, transcript: Transcript): Promise<void>;
}

export async function record(context: Context): Promise<void> {
  const document = await baselineDocument(context);
  const counts = new Map<number, number>();
  await inLanes(partsOf(document), async ({ name, run }) => {
    const world = await makeWorld(context, name);
    const transcript = new Transcript(context);
    nameWorld(transcript, world);
    await world.talk.usual(transcript);
    await run(world, transcript);
    transcript.save(`${name}.txt`);
    for (const [status, count] of world.talk.statuses) counts.set(status, (counts.get(status) ?? 0) + count);
    await world.close();
  });
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const lines = [...counts].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  console.error(`${total} requests: ${lines.join(", ")}`);
}

function partsOf(document: ApiDocument): Part[] {
  const tags = new Set(document.operations.flatMap(({ tag, aliasOf }) => (aliasOf === null ? [tag] : [])));
  const derived = [...tags].map((tag) => ({
    name: tag.toLowerCase().replaceAll(" ", "-"),
    async run(world: World, transcript: Transcript): Promise<void> {
      for (const operation of document.operations) {
        if (operation.tag === tag && operation.aliasOf === null)
          await recordOperation(document, world, transcript, operation);
      }
    },
  }));
  const told = Object.entries(STORIES).map(([name, chapters]) => ({
    name: `story-${name}`,
    async run(world: World, transcript: Transcript): Promise<void> {
      const values = {};
      for (const { title, steps, prepare } of chapters) {
        prepare?.(values, world.now());
        await tell(world, transcript, title, steps, values);
      }
    },
  }));
  return [
    ...derived,
    ...told,
    { name: "aliases", run: (world, transcript) => recordAliases(document, world, transcript) },
    { name: "methods", run: (world, transcript) => recordMethods(document, world, transcript) },
  ];
}
