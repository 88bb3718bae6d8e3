import { type Command, InvalidArgumentError } from "commander";
import type { Finding } from "../../../core/finding.ts";
import { nodeWarning } from "../../../core/runtime.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { parseAuditHead } from "../../../features/records/audit/audit-head.ts";
import type { AuditHead } from "../../../features/records/audit/audit-log.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import type { Output } from "../../output/output.ts";
import { single } from "../../resource.ts";
import type { DoctorFlags } from "../doctor/checks.ts";

export function addDoctor(program: Command): void {
  single(program, "doctor", {
    text: "check the installation; a running server is not disturbed",
    about: `It prints one line per check: PASS, WARN or FAIL. It exits 8 when a check FAILs; a WARN alone exits 0.
prism config shows the settings.`,
    examples: ["", "--fix", "--db --deep --json"],
    flags: {
      fix: ["--fix", "make the data directory and its secrets private; remove leftovers of interrupted commands"],
      db: ["--db", "check the database only"],
      redis: ["--redis", "check Redis only: it is embedded"],
      emergency: ["--emergency", "only call each way of the settings emergency.* with a test message"],
      deep: [
        "--deep",
        "also compare indexes with their tables, send a test mail to the sender, and use the bucket, Pusher " +
          "and the push keys; takes longer",
      ],
      anchor: [
        "--anchor <seq:hash>",
        "head of the audit chain to compare with, such as from a log kept elsewhere",
        anchorFlag,
      ],
    },
    act: (context, flags) => doctor(context, flags as DoctorFlags),
  });
}

async function doctor(context: CommandContext, flags: DoctorFlags): Promise<void> {
  refuseUrl(context, "doctor");
  const { out } = context;
  const [{ checkAll, isPartial }, { checkConfig, readConfig }, { judgedConfig }] = await Promise.all([
    import("../doctor/checks.ts"),
    import("../doctor/config-checks.ts"),
    import("../../../remote/running-server.ts"),
  ]);
  const read = readConfig(() =>
    // The checks of the database and of Redis use no token.
    context.loadConfig(flags.db || flags.redis || flags.emergency ? "encryption" : "all"),
  );
  const judged = read.loaded && (await judgedConfig(read.loaded, out));
  const loaded = judged?.loaded ?? null;
  const ofConfig = judged ? checkConfig(judged) : read.refused;
  const isPart = isPartial(flags);
  const known = new Set([...ofConfig.map(({ text }) => text), nodeWarning(Date.now()) ?? ""]);
  const found = [...(isPart && loaded ? [] : ofConfig), ...(loaded ? await checkAll(out, loaded, flags, known) : [])];
  const checks = found.map(lineOf);
  const failed = checks.filter(({ status }) => status === "FAIL").length;
  out.result({ checks, ok: failed === 0 }, () => checksTable(out, checks));
  if (!loaded) out.note("The other checks need a valid configuration.");
  if (failed > 0) throw new CommandError(EXIT.checkFailed, `${countText(failed, "check")} failed`);
}

/** A finding as it is printed. */
interface Line {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
  readonly remedy?: string;
}

function lineOf({ code, severity, text, fix }: Finding): Line {
  const status = severity === "ok" ? "PASS" : severity === "critical" ? "FAIL" : "WARN";
  return { name: code, status, message: text, ...(fix === undefined ? {} : { remedy: fix }) };
}

function checksTable(out: Output, checks: readonly Line[]): string[] {
  const paint = { PASS: out.green, WARN: out.yellow, FAIL: out.red };
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks.map(({ name, status, message, remedy }) => {
    const line = `${paint[status].call(out, status)}  ${name.padEnd(width)}  ${message}`;
    return remedy === undefined ? line : `${line}; ${remedy}`;
  });
}

function anchorFlag(text: string): AuditHead {
  const head = parseAuditHead(text);
  if (!head)
    throw new InvalidArgumentError("Use a number and 64 hex digits, such as 4711:9fca…, as the log shows them.");
  return head;
}
