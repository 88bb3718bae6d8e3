import { Banner, Button, CodeBlock, Field, Input } from "../../../ui/index.ts";
import { inLabels } from "../../settings/setting-words.ts";

/** How the mail server answered. */
export interface MailTest {
  readonly ok: boolean;
  readonly message: string;
  readonly transcript: readonly string[];
}

interface TestMailProps {
  readonly to: string;
  readonly onTo: (to: string) => void;
  readonly onTest: () => Promise<unknown>;
  readonly result: MailTest | undefined;
}

export function TestMail({ to, onTo, onTest, result }: TestMailProps) {
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
