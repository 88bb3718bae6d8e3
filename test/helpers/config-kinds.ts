import assert from "node:assert/strict";
import { OPERATOR } from "../../src/core/caller.ts";
import type { ErrorDetail } from "../../src/core/errors.ts";
import { uuidv7 } from "../../src/core/ids.ts";
import { fromFile, type NameOf, type Names, toFile } from "../../src/http/api/file-form.ts";
import { object } from "../../src/http/api/shapes.ts";
import { checkShape } from "../../src/http/body/input.ts";
import type { ConfigKind, ObjectOwner, Spec, StoredObject } from "../../src/module/config-kind.ts";
import type { Trx } from "../../src/store/database.ts";
import type { TestPrism } from "./prism.ts";

/** Names of what a test has made, by kind. */
export class KnownNames implements Names {
  readonly #all = new Map<string, NameOf>();

  add(kind: string, id: string, name: string): void {
    this.#all.set(`${kind} ${id}`, { name });
  }

  idOf(kind: string, { name }: NameOf, path: string): string | undefined {
    const found = [...this.#all].find(([key, of]) => key.startsWith(`${kind} `) && of.name === name);
    assert.ok(found, `${path}: no ${kind} ${name}`);
    return found[0].slice(kind.length + 1);
  }

  nameOf(kind: string, id: string): NameOf | undefined {
    return this.#all.get(`${kind} ${id}`);
  }
}

export async function kindOf(prism: TestPrism, name: string, scope = "project"): Promise<ConfigKind> {
  const all = await prism.parts.features.context.configKinds({});
  const found = all.find((each) => each.kind === name && each.scope === scope);
  assert.ok(found);
  return found;
}

/** A file's object as the planner gives it to a kind: complete, checked, canonical. */
export function read(kind: ConfigKind, file: object, names: Names): Spec {
  const problems: ErrorDetail[] = [];
  const schema = object(kind.entries());
  const given = fromFile(schema, file, names, problems);
  assert.deepEqual(problems, []);
  const spec = { ...kind.defaults, ...(checkShape(schema, given, "body") as Spec) };
  return kind.canonical?.(spec) ?? spec;
}

export function written(kind: ConfigKind, { spec }: StoredObject, names: Names): Spec {
  return toFile(object(kind.entries()), spec, names) as Spec;
}

/** What is listed, written as a file and read again, is the same. */
export function assertRoundTrip(kind: ConfigKind, stored: StoredObject, names: Names): void {
  const again = read(kind, JSON.parse(JSON.stringify(written(kind, stored, names))) as object, names);
  const { calendarUrl: _, ...spec } = again;
  assert.deepEqual(spec, stored.spec);
}

export interface Apply {
  readonly owner: ObjectOwner;
  /** Creates or changes the object of this name. */
  store(kind: ConfigKind, file: object, trx?: Trx): Promise<string>;
  remove(kind: ConfigKind, name: string): Promise<void>;
  find(kind: ConfigKind, name: string): Promise<StoredObject>;
}

export function applying(prism: TestPrism, projectId: string | null, names: Names): Apply {
  const { db } = prism.parts.features.context;
  const owner = { caller: OPERATOR, projectId };
  const list = async (kind: ConfigKind, name: string, trx?: Trx) =>
    (await kind.list(trx ?? db.read, projectId)).find((each) => each.name === name);
  const find = async (kind: ConfigKind, name: string) => {
    const found = await list(kind, name);
    assert.ok(found, name);
    return found;
  };
  return {
    owner,
    find,
    async store(kind, file, given) {
      const spec = read(kind, file, names);
      const stored = await list(kind, String(spec["name"] ?? kind.kind), given);
      const id = stored?.id ?? uuidv7();
      const prepared = await kind.prepare?.(owner, spec, stored ?? null, id);
      const work = async (trx: Trx) => {
        if (stored) await kind.update(trx, owner, stored, spec, prepared);
        else await kind.create(trx, owner, id, spec, prepared);
      };
      await (given ? work(given) : db.write(work));
      return id;
    },
    async remove(kind, name) {
      const stored = await find(kind, name);
      await db.write(async (trx) => kind.remove?.(trx, owner, stored));
    },
  };
}
