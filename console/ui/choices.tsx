import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useAction } from "./button.tsx";
import { cx } from "./dom.ts";
import { Icon } from "./icon.tsx";
import type { Option } from "./types.ts";

interface ToggleProps {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => unknown;
  readonly label: string;
  readonly hint?: ComponentChildren;
  readonly disabled?: boolean | undefined;
  readonly hideLabel?: boolean | undefined;
}

/** A box to tick. `indeterminate` shows that some of a group are ticked. */
export function Checkbox(props: ToggleProps & { readonly indeterminate?: boolean | undefined }) {
  return <Toggle {...props} kind="check" />;
}

/** On or off, at once. A promise shows that it is being saved. */
export function Switch({ onChange, ...props }: ToggleProps) {
  const { busy, run } = useAction(onChange);
  return <Toggle {...props} onChange={run} kind="switch" busy={busy} />;
}

function Toggle({
  kind,
  busy,
  indeterminate = false,
  ...props
}: ToggleProps & {
  readonly kind: "check" | "switch";
  readonly busy?: boolean;
  readonly indeterminate?: boolean | undefined;
}) {
  const { checked, onChange, label, hint, disabled, hideLabel } = props;
  const id = useId();
  return (
    <label class={cx("toggle", disabled && "off")}>
      <input
        class={kind}
        type="checkbox"
        role={kind === "switch" ? "switch" : undefined}
        checked={checked}
        indeterminate={indeterminate}
        disabled={disabled}
        aria-busy={busy || undefined}
        aria-describedby={hint === undefined ? undefined : id}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span class={cx("toggle-t", hideLabel && "sr-only")}>
        <span dir="auto">{label}</span>
        {hint !== undefined && (
          <span class="field-hint" id={id}>
            {hint}
          </span>
        )}
      </span>
    </label>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly Option[];
}

/** One of a few choices, each with room for a hint. */
export function RadioGroup({ label, value, onChange, options }: ChoiceProps) {
  const name = useId();
  return (
    <fieldset class="radios">
      <legend>{label}</legend>
      {options.map((option) => (
        <label class={cx("toggle", option.disabled && "off")} key={option.value}>
          <input
            class="radio"
            type="radio"
            name={name}
            checked={option.value === value}
            disabled={option.disabled}
            onChange={() => onChange(option.value)}
          />
          <span class="toggle-t">
            <span dir="auto">{option.label}</span>
            {option.hint !== undefined && <span class="field-hint">{option.hint}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** On a phone the end of a toolbar is scrolled sideways: the chosen one is in sight, at any width. */
function keepInView(host: HTMLElement | null): (() => void) | undefined {
  const end = host?.closest(".toolbar-end");
  if (!host || !end) return undefined;
  const observer = new ResizeObserver(() => {
    const chosen = host.querySelector("label:has(:checked)")?.getBoundingClientRect();
    const box = end.getBoundingClientRect();
    if (chosen) end.scrollLeft += Math.max(0, chosen.right - box.right) + Math.min(0, chosen.left - box.left);
  });
  observer.observe(end);
  return () => observer.disconnect();
}

/** One of two to five short choices in a row: a filter, a range. */
export function Segmented({ label, value, onChange, options, small }: ChoiceProps & { readonly small?: boolean }) {
  const name = useId();
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => keepInView(host.current), [value]);
  return (
    <div class={cx("segmented", small && "small")} role="radiogroup" aria-label={label} ref={host}>
      {options.map((option) => (
        <label key={option.value} title={option.hint}>
          <input
            type="radio"
            name={name}
            checked={option.value === value}
            disabled={option.disabled}
            onChange={() => onChange(option.value)}
          />
          <span>
            {option.icon && <Icon node={option.icon} size={14} />}
            {option.label}
          </span>
        </label>
      ))}
    </div>
  );
}
