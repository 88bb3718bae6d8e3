import * as v from "valibot";
import { serverWarnings } from "../../../config/checks.ts";
import { PrismError } from "../../../core/errors.ts";
import { doc, example, jsonObject, named, object, pattern } from "../../../http/api/shapes.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import { MAIL_TEST_RESULTS, smtpOptionsOf, testMail } from "../../delivery/index.ts";
import {
  checkSettings,
  requireSettings,
  type SettingsContext,
  SettingsStore,
  settingsView,
  shareSettings,
  shownChanges,
} from "./service.ts";

const tag = "Settings";
const PATH = "/api/v1/settings";
const access = { permission: "system:manage" } as const;

const Setting = named(
  "Setting",
  "A setting, its value and the origin of it",
  v.object({
    key: v.string(),
    value: doc(v.unknown(), "The configured value; `***` for a secret"),
    fallback: doc(v.unknown(), "The default; null: none, or one that depends on other settings"),
    origin: v.picklist(["flag", "environment", ".env", "secrets.env", "file", "console", "default", "generated"]),
    source: doc(v.nullable(v.string()), "The flag, variable or name that gives the value"),
    variable: doc(v.string(), "Its environment variable"),
    input: v.picklist(["text", "integer", "boolean", "duration", "list", "choice"]),
    choices: v.nullable(v.array(v.string())),
    secret: v.boolean(),
    editable: doc(v.boolean(), "Whether `PUT /api/v1/settings` knows it"),
    isFree: doc(v.boolean(), "Editable, and no source of higher precedence has a value"),
    restartRequired: doc(v.boolean(), "The value takes effect at the next start"),
    doc: v.string(),
  }),
);

const Names = v.array(v.string());
const Values = doc(
  jsonObject(65_536),
  "Settings by dotted key, such as `smtp.host`; null removes the value that the console has stored",
);
const Change = example(object({ values: Values }), { values: { "retention.notificationDays": 90 } });
const MailTestInput = example(
  object({
    to: doc(
      pattern(/^[^\s<>@,;:"]{1,64}@[^\s<>@,;:"]{1,255}$/, "must be a mail address"),
      "Mail address that receives the test mail",
    ),
    values: v.optional(doc(Values, "Settings to test before they are stored; default: those in use")),
  }),
  { to: "ops@example.com" },
);

const Problem = v.object({ key: v.nullable(v.string()), code: v.string(), message: v.string() });
const CheckReply = named(
  "SettingsCheck",
  "What a change of settings would do",
  v.object({
    ok: v.boolean(),
    problems: v.array(Problem),
    changes: v.array(v.object({ key: v.string(), value: v.unknown(), restartRequired: v.boolean() })),
    warnings: Names,
  }),
);
const SettingsReply = v.object({
  data: v.array(Setting),
  restartRequired: doc(Names, "Settings with a value that takes effect at the next start"),
});
const ChangeReply = v.object({ applied: Names, ...SettingsReply.entries });
const MailTestReply = named(
  "MailTest",
  "The result of a test mail",
  v.object({
    ok: doc(v.boolean(), "The mail server has accepted the mail"),
    result: v.picklist(MAIL_TEST_RESULTS),
    message: v.string(),
    transcript: doc(Names, "Lines of the server (S:) and of Prism (C:), without the login"),
  }),
);

/** The configuration in use, and the part of it that the console may change. */
export const settingsFeature = feature("settings", {
  needs: ["configuration", "reloadSettings"],
  upgrade: (context) => shareSettings(contextOf(context)),
  register(server, core) {
    const context = contextOf(core);
    serveReading(server, context);
    serveChange(server, context);
    serveMailTest(server, context);
  },
});

function contextOf(core: Context<"configuration" | "reloadSettings">): SettingsContext {
  return { ...core, started: core.config, apply: core.reloadSettings };
}

function serveReading(server: FeatureServer, context: SettingsContext): void {
  server.route({
    method: "GET",
    path: PATH,
    id: "listSettings",
    summary: "List all settings with their values and origins; secrets are masked",
    returns: "All settings, in the order of the documentation",
    tag,
    access,
    response: SettingsReply,
    handle: () => settingsView(context),
  });
  server.route({
    method: "POST",
    path: `${PATH}/check`,
    id: "checkSettings",
    summary: "Check values of settings as a start would, and change nothing",
    tag,
    access,
    body: Change,
    response: CheckReply,
    handle(_exchange, { body }) {
      const checked = checkSettings(context, body.values);
      if (!checked.next) return { ok: false, problems: checked.problems, changes: [], warnings: [] };
      const { next, changes } = checked;
      return {
        ok: true,
        problems: [],
        changes: shownChanges(changes, next),
        warnings: [...next.warnings, ...serverWarnings(next.config)],
      };
    },
  });
}

function serveChange(server: FeatureServer, context: SettingsContext): void {
  const store = new SettingsStore(context);
  server.route({
    method: "PUT",
    path: PATH,
    id: "changeSettings",
    summary: "Change settings, all of the given ones or none",
    details:
      "They are stored in `settings.json` of the data directory, in a cluster for all nodes. Flags, variables and the configuration file " +
      "take precedence: a setting with a value there is SETTING_FIXED.",
    returns: "The settings in force now (`applied`), and all settings",
    tag,
    access,
    body: Change,
    response: ChangeReply,
    errors: ["SETTING_FIXED"],
    async handle(_exchange, { body }) {
      const { inForce } = await store.change(body.values);
      return { applied: inForce, ...settingsView(context) };
    },
  });
}

/** Limit of concurrent test mails: each holds a request and a connection for up to thirty seconds. */
const MAX_MAIL_TESTS = 4;
const RETRY_AFTER_MS = 1000;

function serveMailTest(server: FeatureServer, context: SettingsContext): void {
  let running = 0;
  server.route({
    method: "POST",
    path: `${PATH}/mail-test`,
    id: "testMailSettings",
    summary: "Send a test mail with the mail settings in use, or with others before they are stored",
    details: "A mail that cannot be sent is a result, too: the status is 200 and `ok` is false.",
    tag,
    access,
    body: MailTestInput,
    response: MailTestReply,
    errors: ["SETTING_FIXED", "OVERLOADED"],
    async handle(_exchange, { body: { to, values = {} } }) {
      const options = smtpOptionsOf(requireSettings(context, values).next.config);
      if (running >= MAX_MAIL_TESTS)
        throw new PrismError("OVERLOADED", "Too many test mails are being sent", { retryAfterMs: RETRY_AFTER_MS });
      running++;
      const result = await testMail(options, to).finally(() => running--);
      const metadata = { result: result.result };
      await context.audit.record({ action: "config.mail_test", resourceType: "config", metadata });
      return result;
    },
  });
}
