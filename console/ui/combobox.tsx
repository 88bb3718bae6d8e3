import { Check, ChevronDown, X } from "lucide";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { IconButton } from "./button.tsx";
import { cx, placeNextTo } from "./dom.ts";
import { errorInfo } from "./errors.ts";
import { useControl } from "./field.tsx";
import { Icon } from "./icon.tsx";
import type { Option } from "./types.ts";

interface CommonProps {
  readonly options?: readonly Option[] | undefined;
  /** Finds options on the server while the user types. */
  readonly load?: ((query: string) => Promise<readonly Option[]>) | undefined;
  /** Whether a text that is no option may be taken. */
  readonly custom?: boolean | undefined;
  readonly placeholder?: string | undefined;
  readonly label?: string | undefined;
  readonly mono?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  /** The list is always shown, below the field, so that it covers nothing. */
  readonly inline?: boolean | undefined;
}

export interface ComboboxProps extends CommonProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly clearable?: boolean | undefined;
}

export interface MultiComboboxProps extends CommonProps {
  readonly values: readonly string[];
  readonly onChange: (values: readonly string[]) => void;
}

const SHOWN_OPTIONS = 100;
const LOAD_AFTER_MS = 150;

/** Options that fit the query: local ones at once, loaded ones when the typing pauses. */
function useOptions({ options, load }: CommonProps, query: string, open: boolean) {
  const [loaded, setLoaded] = useState<{ readonly query: string; readonly options: readonly Option[] }>();
  const [state, setState] = useState<"idle" | "loading" | string>("idle");
  useEffect(() => {
    if (load === undefined || !open) return;
    let isCurrent = true;
    setState("loading");
    const timer = setTimeout(async () => {
      try {
        const found = await load(query);
        if (!isCurrent) return;
        setLoaded({ query, options: found });
        setState("idle");
      } catch (error) {
        if (isCurrent) setState(errorInfo(error).message);
      }
    }, LOAD_AFTER_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [load, query, open]);
  const known = options ?? [];
  const words = query.toLowerCase();
  const fits = (option: Option) => `${option.label} ${option.value} ${option.hint ?? ""}`.toLowerCase().includes(words);
  const local = known.filter(fits);
  const values = new Set(local.map(({ value }) => value));
  // Those of an earlier text only as far as they fit: Enter takes the first.
  const given = loaded?.query === query ? loaded.options : (loaded?.options ?? []).filter(fits);
  const others = load === undefined ? [] : given.filter(({ value }) => !values.has(value));
  const found = [...local, ...others].slice(0, SHOWN_OPTIONS);
  return { found, state };
}

interface PickerProps extends CommonProps {
  /** The text of the field while its list is closed. */
  readonly shown: string;
  readonly chosen: readonly string[];
  readonly before?: ComponentChildren;
  readonly after?: ComponentChildren;
  readonly onPick: (option: Option) => void;
  readonly onBackspace?: (() => void) | undefined;
}

/** The field with its list; see the ARIA practices' editable combobox with list autocomplete. */
function Picker(props: PickerProps) {
  const { shown, chosen, onPick, custom = false, inline = false } = props;
  const control = useControl(props.label);
  const listId = useId();
  const [query, setQuery] = useState<string>();
  const [at, setAt] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const hasMoved = useRef(false);
  const open = inline || query !== undefined;
  const { found, state } = useOptions(props, query ?? "", open);
  const entries = useMemo(() => {
    const typed = (query ?? "").trim();
    const isKnown = typed === "" || found.some((option) => option.value === typed || option.label === typed);
    return custom && !isKnown ? [...found, { value: typed, label: typed, hint: "use this text" }] : found;
  }, [found, query, custom]);
  useLayoutEffect(() => {
    const { current } = list;
    if (!open || current === null || box.current === null) return;
    if (!inline && !current.matches(":popover-open")) current.showPopover();
    if (!inline) placeNextTo(current, box.current, { matchWidth: true });
    if (inline && document.activeElement !== input.current) return;
    current.querySelector(".at")?.scrollIntoView({ block: "nearest" });
  }, [open, entries.length, at, state]);

  const close = () => setQuery(undefined);
  const pick = (option: Option | undefined) => {
    if (option === undefined || option.disabled) return;
    onPick(option);
    hasMoved.current = false;
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (!open) return setQuery("");
      hasMoved.current = true;
      const step = key === "ArrowDown" ? 1 : -1;
      return setAt((at + step + entries.length) % Math.max(1, entries.length));
    }
    // Enter in a list that is always open sends the form, unless an option was looked for.
    const isSending = inline && !hasMoved.current && (query ?? "") === "";
    if (key === "Enter" && open && !isSending) {
      event.preventDefault();
      return pick(entries[at]);
    }
    if (key === "Escape" && query !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      return close();
    }
    if (key === "Backspace" && (query ?? "") === "") props.onBackspace?.();
  };
  const options = open && (
    <div
      class={inline ? "list in-flow" : "pop list"}
      popover={inline ? undefined : "manual"}
      ref={list}
      id={listId}
      role="listbox"
      aria-label={props.label ?? "Options"}
      aria-multiselectable={inline || undefined}
      onPointerDown={(event) => event.preventDefault() /* the field keeps the focus */}
    >
      {entries.map((option, index) => (
        <div
          key={option.value}
          id={`${listId}-${index}`}
          class={cx("item", index === at && "at")}
          role="option"
          aria-selected={inline ? chosen.includes(option.value) : index === at}
          aria-disabled={option.disabled}
          onClick={() => pick(option)}
          onPointerMove={() => index === at || setAt(index)}
        >
          <span class="item-t">
            <span dir="auto" class="user-text">
              {option.label}
            </span>
            {option.hint !== undefined && <span class="item-h">{option.hint}</span>}
          </span>
          {chosen.includes(option.value) && <Icon node={Check} size={14} label="chosen" />}
        </div>
      ))}
      {entries.length === 0 && (
        <div class="item none">{state === "loading" ? "Searching…" : state === "idle" ? "No match" : state}</div>
      )}
    </div>
  );
  const field = (
    <div class={cx("control combo", props.mono && "mono-in", props.disabled && "off")} ref={box}>
      {props.before}
      <input
        {...control}
        ref={input}
        role="combobox"
        aria-expanded={open}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={open && entries.length > 0 ? `${listId}-${at}` : undefined}
        autocomplete="off"
        spellcheck={false}
        dir="auto"
        disabled={props.disabled}
        placeholder={open && shown !== "" ? shown : props.placeholder}
        value={query ?? shown}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => open || setQuery("")}
        onInput={(event) => {
          hasMoved.current = false;
          setAt(0);
          setQuery(event.currentTarget.value);
        }}
        onBlur={() => {
          if (custom && query !== undefined && query.trim() !== "" && query !== shown) pick(entries.at(-1));
          close();
        }}
        onKeyDown={onKeyDown}
      />
      {props.after}
      {!inline && <Icon node={ChevronDown} size={14} />}
      {!inline && options}
    </div>
  );
  return inline ? (
    <>
      {field}
      {options}
    </>
  ) : (
    field
  );
}

function labelOf(value: string, options: readonly Option[] | undefined, seen: Map<string, string>): string {
  return options?.find((option) => option.value === value)?.label ?? seen.get(value) ?? value;
}

/** One of many options, found by typing; with `custom` any text. */
export function Combobox({ value, onChange, clearable, ...props }: ComboboxProps) {
  const seen = useRef(new Map<string, string>()); // labels of loaded options outlive their query
  const clear = clearable === true && value !== "" && (
    <IconButton small icon={X} label="Clear" onClick={() => onChange("")} />
  );
  return (
    <Picker
      {...props}
      shown={labelOf(value, props.options, seen.current)}
      chosen={[value]}
      after={clear}
      onPick={(option) => {
        seen.current.set(option.value, option.label);
        onChange(option.value);
      }}
    />
  );
}

/** Any number of many options, shown as chips; Backspace removes the last. */
export function MultiCombobox({ values, onChange, ...props }: MultiComboboxProps) {
  const seen = useRef(new Map<string, string>());
  const toggle = (value: string) =>
    onChange(values.includes(value) ? values.filter((each) => each !== value) : [...values, value]);
  const chips = values.map((value) => {
    const name = labelOf(value, props.options, seen.current);
    return (
      <span class="chip" key={value}>
        <span dir="auto" class="user-text">
          {name}
        </span>
        <button type="button" aria-label={`Remove ${name}`} disabled={props.disabled} onClick={() => toggle(value)}>
          <Icon node={X} size={12} />
        </button>
      </span>
    );
  });
  return (
    <Picker
      {...props}
      placeholder={values.length === 0 ? props.placeholder : undefined}
      shown=""
      chosen={values}
      before={chips}
      onBackspace={() => values.length > 0 && onChange(values.slice(0, -1))}
      onPick={(option) => {
        seen.current.set(option.value, option.label);
        toggle(option.value);
      }}
    />
  );
}
