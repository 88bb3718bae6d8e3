import { useState } from "preact/hooks";
import { api } from "../../../app/api.ts";
import { invalidate } from "../../../app/query.ts";
import { me } from "../../../app/session.ts";
import { Banner, Button, Checkbox, CodeBlock, Field, Form, Input } from "../../../ui/index.ts";
import { fixedText, type Setting, type SettingValues } from "./settings.ts";
import { skipMail } from "./skip.ts";

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

/** The mail server, tried with a test mail before it is stored. */
export function MailStep({ setting, onDone }: MailProps) {
  const textOf = (key: string) => String(setting(key)?.value ?? setting(key)?.fallback ?? "");
  const [texts, setTexts] = useState(() => new Map<string, string>(TEXT_KEYS.map((key) => [key, textOf(key)])));
  const [password, setPassword] = useState("");
  const [allowPlain, setAllowPlain] = useState(setting("smtp.allowPlain")?.value === true);
  const fixed = TEXT_KEYS.map((key) => setting(key)).find((each) => each !== undefined && !each.isFree);
  const hasPassword = setting("smtp.pass")?.value != null;
  const values = (): SettingValues => {
    const port = Number(texts.get("smtp.port"));
    return {
      "smtp.host": texts.get("smtp.host")?.trim() || null,
      "smtp.port": Number.isInteger(port) && port > 0 ? port : null,
      "smtp.user": texts.get("smtp.user")?.trim() || null,
      "smtp.from": texts.get("smtp.from")?.trim() || null,
      "smtp.allowPlain": allowPlain,
      ...(password !== "" && { "smtp.pass": password }),
    };
  };
  const save = async () => {
    if (!fixed) await api.put("/settings", { values: values() });
    invalidate("/settings");
    onDone();
  };
  const skip = () => {
    skipMail();
    onDone();
  };
  const text = (key: (typeof TEXT_KEYS)[number]) => ({
    value: texts.get(key) ?? "",
    onChange: (value: string) => setTexts(new Map(texts).set(key, value)),
    readOnly: fixed !== undefined,
  });
  const hasHost = (texts.get("smtp.host") ?? "").trim() !== "";
  return (
    <Form onSubmit={save} label="Mail">
      {fixed && <Banner tone="info">{fixedText(fixed)}</Banner>}
      <div class="setup-pair">
        <Field label="Mail server (SMTP)">
          <Input {...text("smtp.host")} mono placeholder="smtp.example.org" autoFocus />
        </Field>
        <Field label="Port">
          <Input {...text("smtp.port")} mono inputMode="numeric" />
        </Field>
      </div>
      <div class="grid2">
        <Field label="Username" optional>
          <Input {...text("smtp.user")} autocomplete="off" />
        </Field>
        <Field label="Password" optional {...(hasPassword && { hint: "A password is stored. Empty: it stays." })}>
          <Input
            type="password"
            value={password}
            onChange={setPassword}
            autocomplete="new-password"
            readOnly={fixed !== undefined}
          />
        </Field>
      </div>
      <Field label="Sender" hint="Such as Prism <prism@example.org>; the mail server must accept it.">
        <Input {...text("smtp.from")} placeholder="Prism <prism@example.org>" />
      </Field>
      {!fixed && (
        <Checkbox
          checked={allowPlain}
          onChange={setAllowPlain}
          label="Allow a connection without TLS"
          hint="Only for a mail server on this machine or in your own network."
        />
      )}
      <TestMail values={values} isOn={hasHost} isFixed={fixed !== undefined} />
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={!hasHost}>
          {fixed ? "Continue" : "Save and continue"}
        </Button>
        {!hasHost && (
          <Button variant="quiet" onClick={skip}>
            Skip: no mail for now
          </Button>
        )}
      </div>
    </Form>
  );
}

interface TestMailProps {
  readonly values: () => SettingValues;
  readonly isOn: boolean;
  readonly isFixed: boolean;
}

function TestMail({ values, isOn, isFixed }: TestMailProps) {
  const [to, setTo] = useState(me.value?.email ?? "");
  const [result, setResult] = useState<MailTest>();
  if (!isOn) return null;
  const test = async () => {
    setResult(undefined);
    const body = isFixed ? { to: to.trim() } : { to: to.trim(), values: values() };
    setResult(await api.post<MailTest>("/settings/mail-test", body));
  };
  return (
    <section class="setup-test" aria-label="Test mail">
      <div class="setup-try">
        <Field label="Send a test mail to">
          <Input type="email" value={to} onChange={setTo} autocomplete="email" />
        </Field>
        <Button onClick={test} disabled={to.trim() === ""}>
          Send test mail
        </Button>
      </div>
      {result && (
        <div role="status" class="stack s2">
          <Banner tone={result.ok ? "ok" : "bad"}>{result.message}</Banner>
          {!result.ok && result.transcript.length > 0 && (
            <CodeBlock text={result.transcript.join("\n")} label="Conversation with the mail server" maxHeight={180} />
          )}
        </div>
      )}
    </section>
  );
}
