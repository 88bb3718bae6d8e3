import { useGet } from "../../../app/query.ts";
import { Button, Loaded } from "../../../ui/index.ts";
import { TEMPLATES } from "./templates.ts";
import { TestNotification } from "./test-notification.tsx";

interface TestStepProps {
  readonly onDone: () => void;
  /** Back to the choice of a way to the phone. */
  readonly onPhone: () => void;
}

/** An event for the rule of the set-up, up to the phone. */
export function TestStep({ onDone, onPhone }: TestStepProps) {
  const rules = useGet<{ readonly data: readonly { readonly name: string }[] }>("/rules", {
    projectId: "default",
    limit: 100,
  });
  return (
    <Loaded query={rules}>
      {({ data }) => {
        const template = TEMPLATES.find(({ name }) => data.some((rule) => rule.name === name));
        if (template) return <TestNotification template={template} onDone={onDone} onPhone={onPhone} />;
        return (
          <div class="stack">
            <p>There is no rule of this set-up that an event could fire.</p>
            <div class="setup-actions">
              <Button variant="primary" onClick={onDone}>
                Continue
              </Button>
            </div>
          </div>
        );
      }}
    </Loaded>
  );
}
