import { KeyRound } from "lucide";
import { useRef, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { CopyButton } from "./text.tsx";

/** A secret that is shown this once: value, copy, and the promise that it is stored. */
export function Secret({
  label,
  value,
  hint,
  onStored,
}: {
  readonly label: string;
  readonly value: string;
  readonly hint?: string | undefined;
  readonly onStored?: (() => void) | undefined;
}) {
  const [copied, setCopied] = useState(false);
  const output = useRef<HTMLElement>(null);
  const selectAll = () => {
    if (output.current !== null) window.getSelection()?.selectAllChildren(output.current);
  };
  return (
    <section class="secret" aria-label={label}>
      <div class="strong">
        <Icon node={KeyRound} /> {label}
      </div>
      <p class="small muted">
        {hint ?? "Prism shows it only now and cannot show it again. Store it in a password manager."}
      </p>
      <div class="command">
        <code ref={output} tabIndex={0} onFocus={selectAll} onCopy={() => setCopied(true)}>
          {value}
        </code>
        <CopyButton text={value} onCopied={() => setCopied(true)} />
      </div>
      {onStored && (
        <Button variant={copied ? "primary" : "default"} onClick={onStored}>
          I have stored it
        </Button>
      )}
    </section>
  );
}
