import { useState } from "preact/hooks";
import type { Setting } from "../../../../src/client/api-types.gen.ts";
import { api } from "../../../app/api.ts";
import { useFieldErrors } from "../../../app/field-errors.ts";
import { invalidate } from "../../../app/query.ts";
import { me } from "../../../app/session.ts";
import { Banner, Button, Checkbox, CodeBlock, Field, Form, Input } from "../../../ui/index.ts";
import { inLabels, labelOf, SETTING_ERRORS } from "../../settings/setting-words.ts";
import { fixedText, type SettingValues } from "./settings.ts";
import { type MailNote, noteMail } from "./skip.ts";

interface MailTest {
  readonly ok: boolean;
  readonly message: string;
  readonly transcript: readonly string[];
}

interface MailProps {
  readonly setting: (key: string) => Setting | undefined;
  readonly onDone: () => void;
}

const TEXT_KEYS = ["smtp.host", "smtp.port", "smtp.user", "smtp.from"] as const;
const KEYS = [...TEXT_KEYS, "smtp.pass", "smtp.allowPlain"] as const;

/** The mail server, tried with a test mail before it is stored. */
export function MailStep({ setting, onDone }: MailProps) {
  const textOf = (key: string) => String(setting(key)?.value ?? setting(key)?.fallback ?? "");
  const [texts, setTexts] = useState(() => new Map<string, string>(TEXT_KEYS.map((key) => [key, textOf(key)])));
  const [password, setPassword] = useState("");
  const [allowPlain, setAllowPlain] = useState(setting("smtp.allowPlain")?.value === true);
  const [to, setTo] = useState(me.value?.email ?? "");
  const [test, setTest] = useState<MailTest & { readonly of: string }>();
  const errors = useFieldErrors(KEYS, SETTING_ERRORS);
  const [isOffered, setOffered] = useState(false);
  const fixed = TEXT_KEYS.map((key) => setting(key)).find((each) => each !== undefined && !each.isFree);
  const hasPassword = setting("smtp.pass")?.value != null;
  const values: SettingValues = {
    "smtp.host": texts.get("smtp.host")?.trim() || null,
    "smtp.port": portOf(texts.get("smtp.port") ?? ""),
    "smtp.user": texts.get("smtp.user")?.trim() || null,
    "smtp.from": texts.get("smtp.from")?.trim() || null,
    "smtp.allowPlain": allowPlain,
    ...(password !== "" && { "smtp.pass": password }),
  };
  const tried = JSON.stringify(values);
  const tryMail = async () => {
    setTest(undefined);
    const body = fixed ? { to: to.trim() } : { to: to.trim(), values };
    const found = await errors.attempt(() => api.post<MailTest>("/settings/mail-test", body));
    if (found) setTest({ ...found, of: tried });
    return found?.ok === true;
  };
  const store = async (stored: SettingValues, note: MailNote) => {
    if (!fixed && !(await errors.attempt(() => api.put<object>("/settings", { values: stored })))) return;
    noteMail(note);
    invalidate("/settings");
    onDone();
  };
  const save = async () => {
    const isTested = test?.of === tried && test.ok;
    if (isTested || (to.trim() !== "" && (await tryMail()))) return store(values, null);
    setOffered(true);
  };
  const skip = () => {
    const hasAny = KEYS.some((key) => setting(key)?.origin === "console");
    if (hasAny) return store(Object.fromEntries(KEYS.map((key) => [key, null])), "skipped");
    noteMail("skipped");
    onDone();
  };
  const text = (key: (typeof TEXT_KEYS)[number]) => ({
    value: texts.get(key) ?? "",
    onChange: (value: string) => setTexts(new Map(texts).set(key, value)),
    readOnly: fixed !== undefined,
  });
  const field = (key: (typeof KEYS)[number]) => ({ label: labelOf(key), error: errors.of(key) });
  const hasHost = values["smtp.host"] !== null;
  return (
    <Form onSubmit={save} label="Mail">
      {fixed && <Banner tone="info">{fixedText(fixed)}</Banner>}
      <div class="setup-pair">
        <Field {...field("smtp.host")}>
          <Input {...text("smtp.host")} mono placeholder="smtp.example.org" autoFocus />
        </Field>
        <Field {...field("smtp.port")}>
          <Input {...text("smtp.port")} mono inputMode="numeric" />
        </Field>
      </div>
      <div class="grid2">
        <Field {...field("smtp.user")} optional>
          <Input {...text("smtp.user")} autocomplete="off" />
        </Field>
        <Field
          {...field("smtp.pass")}
          optional
          {...(hasPassword && {
            hint: "A password is stored. Empty: it stays, unless the server or the port changes.",
          })}
        >
          <Input
            type="password"
            value={password}
            onChange={setPassword}
            autocomplete="new-password"
            readOnly={fixed !== undefined}
          />
        </Field>
      </div>
      <Field {...field("smtp.from")} hint="Such as Prism <prism@example.org>; the mail server must accept it.">
        <Input {...text("smtp.from")} placeholder="Prism <prism@example.org>" />
      </Field>
      {!fixed && (
        <Checkbox
          checked={allowPlain}
          onChange={setAllowPlain}
          label={labelOf("smtp.allowPlain")}
          hint="Only for a mail server on this machine or in your own network."
        />
      )}
      {hasHost && <TestMail to={to} onTo={setTo} onTest={tryMail} result={test} />}
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={!hasHost}>
          {fixed ? "Test and continue" : "Test, save and continue"}
        </Button>
        {hasHost && isOffered && (
          <Button onClick={() => store(values, "untested")}>
            {fixed ? "Continue without a working test" : "Save without a working test"}
          </Button>
        )}
        {!fixed && (
          <Button variant="quiet" onClick={skip}>
            Skip: no mail for now
          </Button>
        )}
      </div>
      {isOffered && to.trim() === "" && (
        <p class="muted small">Not tested: enter an address for the test mail above.</p>
      )}
    </Form>
  );
}

function portOf(text: string): number | string | null {
  const port = text.trim();
  return port === "" ? null : /^\d+$/.test(port) ? Number(port) : port;
}

interface TestMailProps {
  readonly to: string;
  readonly onTo: (to: string) => void;
  readonly onTest: () => Promise<unknown>;
  readonly result: MailTest | undefined;
}

function TestMail({ to, onTo, onTest, result }: TestMailProps) {
  return (
    <section class="setup-test" aria-label="Test mail">
      <div class="setup-try">
        <Field label="Send a test mail to">
          <Input type="email" value={to} onChange={onTo} autocomplete="email" />
        </Field>
        <Button onClick={onTest} disabled={to.trim() === ""}>
          Send test mail
        </Button>
      </div>
      {result && (
        <div role="status" class="stack s2">
          <Banner tone={result.ok ? "ok" : "bad"}>{inLabels(result.message)}</Banner>
          {!result.ok && result.transcript.length > 0 && (
            <CodeBlock text={result.transcript.join("\n")} label="Conversation with the mail server" maxHeight={180} />
          )}
        </div>
      )}
    </section>
  );
}
