import { randomUUID } from "node:crypto";
import type { Config } from "../../../config/load.ts";
import { publicUrlOf } from "../../../config/public-url.ts";
import { type Finding, fail, pass, warn } from "../../../core/finding.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import { readOrNull } from "../../../store/doctor.ts";
import { messageOf } from "./message.ts";
import { configuredWays, sendBy } from "./ways.ts";

const NAME = "emergency";
const REMEDY = "set emergency.webhook, emergency.smtp or emergency.command (docs/who-watches-prism.md)";

/** Whether a way is configured; nothing without one on a server without policies. Sends nothing. */
export function checkEmergency(config: Config): Finding[] {
  const ways = configuredWays(config.emergency);
  if (ways.length > 0)
    return [pass(NAME, `calls by ${ways.join(", ")} when no one is reached; --emergency tests it for real`)];
  const inUse = "select exists (select 1 from policies where deletedAt is null) or exists (select 1 from incidents)";
  const isUsed = readOrNull(config.databaseFile, (connection) => connection.prepare<[], number>(inUse).pluck().get());
  if (isUsed !== 1) return [];
  return [warn(NAME, "no one learns when Prism itself cannot reach anyone", REMEDY)];
}

/** Calls each configured way with a test. */
export async function testEmergency(config: Config): Promise<Finding[]> {
  const ways = configuredWays(config.emergency);
  if (ways.length === 0) return [fail(NAME, "no way is configured", REMEDY)];
  const now = Date.now();
  const news = { text: "this is a test; nothing has happened.", since: now };
  const serverUrl = publicUrlOf(config, config.port);
  const message = messageOf({ id: randomUUID(), reason: "test", news, at: now, serverUrl });
  return Promise.all(
    ways.map(async (way) => {
      const startedAt = performance.now();
      const took = (): string => `after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
      try {
        return pass(
          NAME,
          `${way}: ${await sendBy(way, { ...config.emergency, proxy: config.proxy }, message)}, ${took()}`,
        );
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return fail(NAME, `${way}: ${reason}, ${took()}`, `check the settings emergency.${way}`);
      }
    }),
  );
}

export const STORED: StoredFindings = {
  services: { emergency: ({ config }) => checkEmergency(config) },
};
