import { useState } from "preact/hooks";
import { api } from "../../../app/api.ts";
import { invalidate } from "../../../app/query.ts";
import { me } from "../../../app/session.ts";
import { Button, Checkbox, Condition, Form, RadioGroup } from "../../../ui/index.ts";
import { type RuleTemplate, TEMPLATES } from "./templates.ts";

interface Rule {
  readonly id: string;
  readonly name: string;
  readonly channels: readonly string[];
}

interface RuleStepProps {
  readonly hasMail: boolean;
  readonly onDone: () => void;
}

/** The first rule, from a template. */
export function RuleStep({ hasMail, onDone }: RuleStepProps) {
  const [name, setName] = useState(TEMPLATES[0]?.name ?? "");
  const [byMail, setByMail] = useState(true);
  const template = TEMPLATES.find((each) => each.name === name);
  const email = hasMail ? me.value?.email : undefined;
  if (!template) return null;
  const options = TEMPLATES.map((each) => ({ value: each.name, label: each.name, hint: each.text }));
  const create = async () => {
    await createRule(template, byMail && email ? "email" : undefined);
    invalidate("/rules");
    onDone();
  };
  return (
    <Form onSubmit={create} label="First rule">
      <RadioGroup label="Notify me when" value={name} onChange={setName} options={options} />
      <Condition text={template.condition} />
      {email && <Checkbox checked={byMail} onChange={setByMail} label={`Also by mail to ${email}`} />}
      <div class="setup-actions">
        <Button variant="primary" type="submit">
          Create rule
        </Button>
        <Button variant="quiet" onClick={onDone}>
          Skip
        </Button>
      </div>
    </Form>
  );
}

/** Creates the rule of a template, or takes the one that an earlier set-up has made. */
async function createRule({ event: _, text: description, ...template }: RuleTemplate, also?: string): Promise<Rule> {
  const rule = { ...template, description, projectId: "default", targetUsers: [me.value?.id ?? ""] };
  const found = await api.get<{ readonly data: readonly Rule[] }>("/rules", { q: template.name, projectId: "default" });
  const known = found.data.find((each) => each.name === template.name);
  const stored = known ?? (await api.post<Rule>("/rules", rule));
  if (also === undefined || stored.channels.includes(also)) return stored;
  return api.put<Rule>(`/rules/${stored.id}`, { channels: [...stored.channels, also] });
}
