import { useState } from "preact/hooks";
import type { MailTest, Setting } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useFieldErrors } from "../../app/field-errors.ts";
import { me } from "../../app/session.ts";
import { ask, Banner, Button, CodeBlock, Form, toast } from "../../ui/index.ts";
import { SettingField } from "./setting-field.tsx";
import { fieldText, fieldValue, type Settings } from "./setting-types.ts";
import { inLabels, SETTING_ERRORS } from "./setting-words.ts";

interface Props {
  readonly settings: readonly Setting[];
  readonly hasMailTest: boolean;
  readonly onSaved: () => void;
}

/** Fields for a group of settings. Those that another source holds are shown with that source. */
export function SettingsForm({ settings, hasMailTest, onSaved }: Props) {
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({});
  const [test, setTest] = useState<MailTest>();
  const errors = useFieldErrors(
    settings.map(({ key }) => key),
    SETTING_ERRORS,
  );
  const values = Object.fromEntries(
    settings.flatMap((setting) => {
      const text = texts[setting.key];
      return text === undefined || text === shownText(setting) ? [] : [[setting.key, fieldValue(setting, text)]];
    }),
  );
  const isChanged = Object.keys(values).length > 0;
  const save = async () => {
    const saved = await errors.attempt(() => api.put<Settings>("/settings", { values }));
    if (!saved) return;
    toast.ok(
      saved.restartRequired.length > 0
        ? "Saved. Restart the server for it to take effect."
        : "Saved. It is in effect now.",
    );
    // What was typed meanwhile stays.
    setTexts((now) => Object.fromEntries(Object.entries(now).filter(([key, text]) => text !== texts[key])));
    onSaved();
  };
  const tryMail = async () => {
    const label = "Send a test mail to";
    const to = await ask({ title: "Test mail", label, action: "Send", value: me.value?.email ?? "", required: true });
    if (to === undefined) return;
    setTest(undefined);
    const found = await errors.attempt(() => api.post<MailTest>("/settings/mail-test", { to, values }));
    if (found) setTest(found);
  };
  return (
    <Form onSubmit={save}>
      <div class="grid2">
        {settings.map((setting) => (
          <SettingField
            key={setting.key}
            setting={setting}
            text={texts[setting.key] ?? shownText(setting)}
            error={errors.of(setting.key)}
            onChange={(text) => setTexts((now) => ({ ...now, [setting.key]: text }))}
          />
        ))}
      </div>
      {test && <MailResult test={test} onDismiss={() => setTest(undefined)} />}
      {(isChanged || hasMailTest) && (
        <div class="inline">
          {isChanged && (
            <Button type="submit" variant="primary">
              Save
            </Button>
          )}
          {hasMailTest && <Button onClick={tryMail}>Send a test mail</Button>}
        </div>
      )}
    </Form>
  );
}

/** Secrets are not sent to the browser: their field is empty. */
function shownText(setting: Setting): string {
  return setting.secret ? "" : fieldText(setting.value, setting.input);
}

function MailResult({ test, onDismiss }: { readonly test: MailTest; readonly onDismiss: () => void }) {
  return (
    <Banner
      tone={test.ok ? "ok" : "bad"}
      title={test.ok ? "The test mail was accepted" : "The test mail was not sent"}
      onDismiss={onDismiss}
    >
      <p>{inLabels(test.message)}</p>
      {test.transcript.length > 0 && (
        <CodeBlock label="Conversation with the mail server" text={test.transcript.join("\n")} maxHeight={200} />
      )}
    </Banner>
  );
}
