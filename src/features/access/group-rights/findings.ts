import type { Config } from "../../../config/load.ts";
import type { Finding } from "../../../core/finding.ts";
import type { ReadDb } from "../../../store/database.ts";
import { localLogin, providersOf } from "../sessions/local-login.ts";
import { readProjectRole } from "./project-role.ts";

/** What the settings of sign-in name and is not there, so that people lack rights, or passwords count against `off`. */
export async function signInFindings(config: Pick<Config, "auth">, db: ReadDb): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const { via, roles, projects } of providersOf(config)) {
    const missing: string[] = [];
    const names = new Set(Object.values(roles).flat());
    const known = await db.selectFrom("roles").select("name").execute();
    for (const name of names) if (!known.some((role) => role.name === name)) missing.push(`the role ${name}`);
    for (const text of new Set(Object.values(projects).flat()))
      if (!(await readProjectRole(text, db))) missing.push(`the membership ${text}`);
    if (missing.length === 0) continue;
    const what = `groups of ${via} give what does not exist: ${missing.join(", ")}`;
    found.push(problem(via, what, "make it, or correct roles and projects of that provider in the settings"));
  }
  if (config.auth.localLogin === "off" && (await localLogin(config, db)) !== "off") {
    const what =
      "auth.localLogin is off, and administrators still sign in with passwords: none has an identity of a provider";
    found.push(
      problem("localLogin", what, "prism user identities link <administrator>, or sign in once with the provider"),
    );
  }
  return found;
}

function problem(key: string, text: string, fix: string): Finding {
  const shown = { kind: "config", key: `sign-in:${key}`, link: "/people", detail: fix } as const;
  return { code: "rights", severity: "warning", text, fix, shown };
}
