import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { finishRestore, isRestorePending } from "../../../../src/features/records/backup/swap.ts";
import { column, temporaryDir } from "../../../helpers/store.ts";
import { craft, databaseBytes, restoreInto } from "./support/crafted.ts";

/** Ends a restore at its nth step, as a power cut would: nothing after it is done. */
class PowerCut extends Error {}

interface Scene {
  readonly dir: string;
  readonly archive: string;
  readonly old: Buffer;
}

async function scene(t: TestContext, archive: string): Promise<Scene> {
  const dir = temporaryDir(t);
  const old = await databaseBytes(t, (db) =>
    db.exec("insert into settings (key, value, updatedAt) values ('whose', 'old', 1)"),
  );
  writeFileSync(join(dir, "prism.db"), old);
  writeFileSync(join(dir, "audit.head"), `9:${"a".repeat(64)}\n`);
  mkdirSync(join(dir, "sounds"));
  writeFileSync(join(dir, "sounds/old.mp3"), "old");
  return { dir, archive, old };
}

/** Whose data counts: every part of it must be of the same. */
function whose(dir: string): string {
  const db = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
  const [database = "new"] = column<string>(db, "select value from settings where key = 'whose'");
  const [head] = column<number>(db, "select max(seq) from audit_log");
  db.close();
  assert.deepEqual(readdirSync(join(dir, "sounds")), [`${database}.mp3`]);
  const noted = Number(readFileSync(join(dir, "audit.head"), "utf8").split(":")[0]);
  assert.equal(noted, database === "old" ? 9 : head);
  return database;
}

test("interrupted at any step, a restore leaves the old data or, once finished by the next command, the new; and the old is kept", async (t) => {
  const archive = craft(t, {
    members: [
      { name: "prism.db", content: await databaseBytes(t) },
      { name: "sounds/new.mp3", content: Buffer.from("new") },
    ],
  });
  const outcomes: string[] = [];
  for (let cut = 1, isDone = false; !isDone; cut++) {
    const { dir, old } = await scene(t, archive);
    let step = 0;
    const onStep = (): void => {
      if (++step === cut) throw new PowerCut();
    };
    await restoreInto(dir, archive, { onStep }).then(
      () => {
        isDone = true;
      },
      (error: Error) => assert.ok(error instanceof PowerCut, error.stack),
    );
    if (!isRestorePending({ dataDir: dir })) {
      outcomes.push(whose(dir));
      continue;
    }
    // The next command is interrupted as well, at each of its steps, and the one after that
    // finishes.
    const places = { dataDir: dir, databaseFile: join(dir, "prism.db") };
    for (let again = 1; isRestorePending(places); again++) {
      let next = 0;
      try {
        finishRestore(places, () => {
          if (++next === 2 && again < 20) throw new PowerCut();
        });
      } catch (error) {
        assert.ok(error instanceof PowerCut, String(error));
      }
    }
    outcomes.push(whose(dir));
    const [kept = ""] = readdirSync(dir).filter((name) => name.endsWith(".before-restore"));
    assert.deepEqual(readFileSync(join(dir, kept, "prism.db")), old, "nothing of the old data is lost");
    assert.ok(existsSync(join(dir, kept, "sounds/old.mp3")));
    const found = readdirSync(dir).filter((name) => /partial|pending/.test(name));
    assert.deepEqual(found, []);
  }
  assert.equal(outcomes[0], "old", "before the marker nothing counts");
  assert.ok(outcomes.length >= 10, outcomes.join());
  assert.deepEqual([...new Set(outcomes.slice(1))], ["new"], "after it the new data does");
});

test("there is nothing to finish where no restore was interrupted, and a marker that names a path is not followed", (t) => {
  const dir = temporaryDir(t);
  const places = { dataDir: dir, databaseFile: join(dir, "prism.db") };
  assert.equal(finishRestore(places), false);
  const [staged, kept] = [".restore-1.partial", "x.before-restore"];
  for (const marker of [
    { staged: "../elsewhere", kept },
    { staged: "../..", kept },
    { staged: "", kept },
    { staged: "sounds", kept },
    { staged, kept: "../.." },
    { staged, kept: "" },
    { staged },
  ]) {
    writeFileSync(join(dir, "restore.pending"), JSON.stringify(marker));
    assert.throws(() => finishRestore(places), /restore\.pending is damaged/, JSON.stringify(marker));
  }
});
