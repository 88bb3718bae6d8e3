import type { Setting } from "../../../../src/client/api-types.gen.ts";
import { Banner, Button, Checkbox, Field, Form, Input } from "../../../ui/index.ts";
import { labelOf } from "../../settings/setting-words.ts";
import { fixedText } from "./settings.ts";
import { TestMail } from "./test-mail.tsx";
import { type MailKey, useMail } from "./use-mail.ts";

interface MailProps {
  readonly setting: (key: string) => Setting | undefined;
  readonly onDone: () => void;
}

/** The mail server, tried with a test mail before it is stored. */
export function MailStep({ setting, onDone }: MailProps) {
  const mail = useMail(setting, onDone);
  const { errors, fixed, hasPassword, text, values } = mail;
  const field = (key: MailKey) => ({ label: labelOf(key), error: errors.of(key) });
  const hasHost = values["smtp.host"] !== null;
  return (
    <Form onSubmit={mail.save} label="Mail">
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
            value={mail.password}
            onChange={mail.setPassword}
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
          checked={mail.allowPlain}
          onChange={mail.setAllowPlain}
          label={labelOf("smtp.allowPlain")}
          hint="Only for a mail server on this machine or in your own network."
        />
      )}
      {hasHost && <TestMail to={mail.to} onTo={mail.setTo} onTest={mail.tryMail} result={mail.test} />}
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={!hasHost}>
          {fixed ? "Test and continue" : "Test, save and continue"}
        </Button>
        {hasHost && mail.isOffered && (
          <Button onClick={() => mail.store(values, "untested")}>
            {fixed ? "Continue without a working test" : "Save without a working test"}
          </Button>
        )}
        {!fixed && (
          <Button variant="quiet" onClick={mail.skip}>
            Skip: no mail for now
          </Button>
        )}
      </div>
      {mail.isOffered && mail.to.trim() === "" && (
        <p class="muted small">Not tested: enter an address for the test mail above.</p>
      )}
    </Form>
  );
}
