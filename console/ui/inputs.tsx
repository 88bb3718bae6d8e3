import { ChevronDown, Eye, EyeOff, Search, X } from "lucide";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { IconButton } from "./button.tsx";
import { cx, isTyping } from "./dom.ts";
import { useControl } from "./field.tsx";
import { Icon } from "./icon.tsx";
import { useSentValue } from "./sent-value.ts";
import { KeyHint } from "./text.tsx";
import type { Option } from "./types.ts";

interface TextProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly placeholder?: string | undefined;
  readonly maxLength?: number | undefined;
  readonly mono?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly readOnly?: boolean | undefined;
  readonly autoFocus?: boolean | undefined;
  readonly name?: string | undefined;
  /** The name of a control outside a Field. */
  readonly label?: string | undefined;
}

export interface InputProps extends TextProps {
  readonly type?: "text" | "email" | "password" | "number" | "url" | "tel" | undefined;
  readonly autocomplete?: string | undefined;
  readonly inputMode?: "text" | "numeric" | "decimal" | "email" | "url" | "search" | undefined;
  readonly min?: number | string | undefined;
  readonly max?: number | string | undefined;
  readonly step?: number | string | undefined;
  readonly prefix?: ComponentChildren;
  readonly suffix?: ComponentChildren;
}

/** One line of text; a password can be shown. */
export function Input(props: InputProps) {
  const { value, onChange, type = "text", mono, prefix, suffix, label } = props;
  const control = useControl(label);
  const [shown, setShown] = useState(false);
  const isPassword = type === "password";
  return (
    <div class={cx("control", mono && "mono-in", props.disabled && "off")}>
      {prefix !== undefined && <span class="affix">{prefix}</span>}
      <input
        {...control}
        type={(isPassword && shown ? "text" : type) as "text"}
        value={value}
        name={props.name}
        placeholder={props.placeholder}
        maxLength={props.maxLength}
        autocomplete={props.autocomplete ?? (isPassword ? undefined : "off")}
        inputMode={props.inputMode}
        min={props.min}
        max={props.max}
        step={props.step}
        disabled={props.disabled}
        readOnly={props.readOnly}
        data-autofocus={props.autoFocus}
        spellcheck={mono === true || isPassword ? false : undefined}
        autocapitalize={mono === true || type === "email" || type === "url" ? "off" : undefined}
        dir={type === "text" ? "auto" : undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {suffix !== undefined && <span class="affix">{suffix}</span>}
      {isPassword && (
        <IconButton
          small
          icon={shown ? EyeOff : Eye}
          label={shown ? "Hide" : "Show"}
          onClick={() => setShown(!shown)}
        />
      )}
    </div>
  );
}

export interface TextareaProps extends TextProps {
  readonly rows?: number | undefined;
  /** Grows with its text up to half the window. */
  readonly autoGrow?: boolean | undefined;
}

/** Several lines of text. */
export function Textarea({ value, onChange, rows = 4, mono, autoGrow, label, ...props }: TextareaProps) {
  const control = useControl(label);
  return (
    <textarea
      {...control}
      class={cx("control area", mono && "mono-in", autoGrow && "grows")}
      rows={rows}
      value={value}
      name={props.name}
      placeholder={props.placeholder}
      maxLength={props.maxLength}
      disabled={props.disabled}
      readOnly={props.readOnly}
      data-autofocus={props.autoFocus}
      spellcheck={mono === true ? false : undefined}
      dir="auto"
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

export interface SelectProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly Option[];
  /** An empty first choice. */
  readonly placeholder?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly small?: boolean | undefined;
  readonly label?: string | undefined;
}

/** Options under their groups, in the order of the first of each. */
export function byGroup(options: readonly Option[]): readonly (readonly [string, readonly Option[]])[] {
  const groups = new Map<string, Option[]>();
  for (const option of options) {
    const group = groups.get(option.group ?? "");
    if (group === undefined) groups.set(option.group ?? "", [option]);
    else group.push(option);
  }
  return [...groups];
}

/** One of a few known choices: the native list, which phones show best. */
export function Select({ value, onChange, options, placeholder, disabled, small, label }: SelectProps) {
  const control = useControl(label);
  const entry = (option: Option) => (
    <option key={option.value} value={option.value} disabled={option.disabled}>
      {option.label}
    </option>
  );
  return (
    <div class={cx("control select", small && "small", disabled && "off")}>
      <select
        {...control}
        value={value}
        disabled={disabled}
        title={options.find((option) => option.value === value)?.label}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {placeholder !== undefined && <option value="">{placeholder}</option>}
        {byGroup(options).map(([group, entries]) =>
          group === "" ? entries.map(entry) : <optgroup label={group} key={group} children={entries.map(entry)} />,
        )}
      </select>
      <Icon node={ChevronDown} size={14} />
    </div>
  );
}

export interface SearchInputProps {
  readonly value: string;
  /** Called when the typing pauses, and at once on Enter and clear. */
  readonly onChange: (value: string) => void;
  readonly placeholder?: string | undefined;
  readonly label?: string | undefined;
  /** "/" moves the focus here. */
  readonly slash?: boolean | undefined;
}

/** The list follows when the typing pauses. */
const TYPING_MS = 200;

/** The search of a list. "/" focuses it, Esc clears it. */
export function SearchInput(props: SearchInputProps) {
  const { value, onChange, placeholder, label = "Search", slash = true } = props;
  const [text, setText] = useState(value);
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const sent = useSentValue(value, setText);
  useLayoutEffect(() => () => clearTimeout(timer.current), []);
  useLayoutEffect(() => (slash ? focusOnSlash(input) : undefined), [slash]);
  const send = (next: string, afterMs: number) => {
    setText(next);
    clearTimeout(timer.current);
    const change = () => {
      sent.current = next;
      onChange(next);
    };
    if (afterMs === 0) change();
    else timer.current = setTimeout(change, afterMs);
  };
  return (
    <div class="control search-in" role={slash ? "search" : undefined}>
      <Icon node={Search} size={14} />
      <input
        ref={input}
        type="search"
        aria-label={label}
        value={text}
        placeholder={placeholder ?? `${label}…`}
        autocomplete="off"
        spellcheck={false}
        dir="auto"
        data-search
        onInput={(event) => send(event.currentTarget.value, TYPING_MS)}
        onKeyDown={(event) => {
          if (event.key === "Enter") send(text, 0);
          if (event.key !== "Escape") return;
          if (text === "") input.current?.blur();
          else send("", 0);
        }}
      />
      {text !== "" ? (
        <IconButton small icon={X} label="Clear" onClick={() => send("", 0)} />
      ) : (
        slash && <KeyHint keys="/" />
      )}
    </div>
  );
}

function focusOnSlash(input: { readonly current: HTMLInputElement | null }): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector("dialog:modal") !== null) return;
    event.preventDefault();
    input.current?.focus();
    input.current?.select();
  };
  window.addEventListener("keydown", onKey);
  return () => window.removeEventListener("keydown", onKey);
}
