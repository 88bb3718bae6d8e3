import { CircleAlert, TriangleAlert } from "lucide";
import { useEffect, useState } from "preact/hooks";
import { SERVER_URL } from "../../../app/base.ts";
import { Field, Icon, Link, Skeleton, Textarea } from "../../../ui/index.ts";
import type { ConditionEditorProps } from "../editor/condition-editor.tsx";
import type { Problem } from "../editor/problems.ts";

type Editor = typeof import("../editor/condition-editor.tsx").default;

/** The editor of a condition. Its code is loaded by the first page that shows it. */
export function ConditionField(props: ConditionEditorProps) {
  const [Editor, setEditor] = useState<Editor>();
  const [isPlain, setPlain] = useState(false);
  useEffect(() => {
    import("../editor/condition-editor.tsx").then(
      (module) => setEditor(() => module.default),
      // Offline, the condition can still be read and changed.
      () => setPlain(true),
    );
  }, []);
  const { problems } = props;
  return (
    <div class="field" role="group" aria-label="Condition">
      <div class="field-top">
        <span class="strong">Condition</span>
        <span class="field-action">
          <Link href={`${SERVER_URL}/docs/rules`} external>
            Language
          </Link>
        </span>
      </div>
      {isPlain && (
        <Field label="Condition">
          <Textarea mono value={props.value} onChange={props.onChange} readOnly={props.readOnly} />
        </Field>
      )}
      {!isPlain &&
        (Editor ? (
          <Editor {...props} />
        ) : (
          <div class="rule-editor waits" children={<Skeleton kind="text" count={3} fits />} />
        ))}
      <Problems problems={problems} text={props.value} />
      {!props.readOnly && (
        <p class="field-hint">
          One expression over the event. Completion opens while you type, or with Ctrl Space; Tab leaves the editor.
        </p>
      )}
    </div>
  );
}

/** The same messages as in the editor, for readers who do not see its marks. */
function Problems({ problems, text }: { readonly problems: readonly Problem[]; readonly text: string }) {
  return (
    <div role="status" class="stack s2">
      {problems.map(({ position, message, severity }) => (
        <p class={`rule-problem ${severity}`} key={`${position} ${message}`}>
          <Icon node={severity === "error" ? CircleAlert : TriangleAlert} size={14} label={severity} />
          <span dir="auto">
            {placeOf(text, position)}: {message}
          </span>
        </p>
      ))}
    </div>
  );
}

function placeOf(text: string, position: number): string {
  const lines = text.slice(0, position).split("\n");
  const column = (lines.at(-1) ?? "").length + 1;
  return lines.length === 1 ? `Character ${column}` : `Line ${lines.length}, character ${column}`;
}
