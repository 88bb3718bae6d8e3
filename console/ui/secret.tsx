import { KeyRound } from "lucide";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { Dialog, useClose } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { CopyButton } from "./text.tsx";

export interface SecretProps {
  readonly label: string;
  readonly value: string;
  readonly hint?: string | undefined;
  readonly onStored?: (() => void) | undefined;
}

/** A secret that is shown this once: value, copy, and the promise that it is stored. */
export function Secret({ label, value, hint, onStored }: SecretProps) {
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

interface SecretDialogProps extends Omit<SecretProps, "onStored"> {
  readonly title: string;
  readonly size?: "sm" | "md";
  readonly onClose?: () => void;
  /** Above the secret. */
  readonly children?: ComponentChildren;
}

/** A new secret, shown once. */
export function SecretDialog({ title, size = "sm", onClose, children, ...secret }: SecretDialogProps) {
  const close = useClose();
  const stored = () => {
    close();
    onClose?.();
  };
  return (
    <Dialog onClose={onClose} title={title} size={size}>
      {children}
      <Secret {...secret} onStored={stored} />
    </Dialog>
  );
}
