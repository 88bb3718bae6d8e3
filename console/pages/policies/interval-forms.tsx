import { Plus, X } from "lucide";
import { ZONES } from "../../app/zones.ts";
import { Button, Combobox, displayZone, Field, IconButton, Input } from "../../ui/index.ts";
import { type ListProps, replaced, without } from "./list-edits.ts";
import type { IntervalItem, NamedInterval } from "./routing-types.ts";

/** Named time intervals; their items are alternatives. */
export function TimeIntervals({ items, onChange, readOnly }: ListProps<NamedInterval>) {
  const add = () => {
    const location = displayZone.value;
    const item: IntervalItem = { times: [{ start_time: "22:00", end_time: "24:00" }], location };
    onChange([...items, { name: `interval ${items.length + 1}`, intervals: [item] }]);
  };
  return (
    <div class="stack">
      {items.length === 0 && <p class="muted">There is none.</p>}
      {items.map((interval, at) => (
        <div class="route-item" key={`${at}`}>
          <div class="inline">
            <span class="grow">
              <Field label="Name">
                <Input
                  value={interval.name}
                  onChange={(name) => onChange(replaced(items, at, { ...interval, name }))}
                />
              </Field>
            </span>
            {!readOnly && (
              <IconButton
                icon={X}
                label={`Remove the interval ${interval.name}`}
                onClick={() => onChange(without(items, at))}
              />
            )}
          </div>
          {interval.intervals.map((item, index) => (
            <ItemFields
              key={`${index}`}
              item={item}
              onChange={(next) =>
                onChange(
                  replaced(items, at, {
                    ...interval,
                    intervals: next ? replaced(interval.intervals, index, next) : without(interval.intervals, index),
                  }),
                )
              }
              isOnly={interval.intervals.length === 1 || readOnly}
            />
          ))}
          {!readOnly && (
            <div>
              <Button
                small
                onClick={() =>
                  onChange(
                    replaced(items, at, {
                      ...interval,
                      intervals: [...interval.intervals, { ...interval.intervals.at(-1) }],
                    }),
                  )
                }
              >
                Add other times
              </Button>
            </div>
          )}
        </div>
      ))}
      {!readOnly && (
        <div>
          <Button icon={Plus} onClick={add}>
            Add an interval
          </Button>
        </div>
      )}
    </div>
  );
}

interface ItemProps {
  readonly item: IntervalItem;
  /** Undefined removes it. */
  readonly onChange: (item: IntervalItem | undefined) => void;
  readonly isOnly: boolean;
}

function ItemFields({ item, onChange, isOnly }: ItemProps) {
  const list = (text: string): readonly string[] | undefined => {
    const parts = text.split(",").map((part) => part.trim());
    return text.trim() === "" ? undefined : parts;
  };
  const set = (part: { readonly [K in keyof IntervalItem]?: IntervalItem[K] | undefined }) =>
    onChange(
      Object.fromEntries(
        Object.entries({ ...item, ...part }).filter(([, value]) => value !== undefined),
      ) as IntervalItem,
    );
  const times = (item.times ?? []).map(({ start_time, end_time }) => `${start_time}-${end_time}`).join(", ");
  const setTimes = (text: string) =>
    set({
      times: list(text)?.map((part) => {
        const [start_time = "", end_time = ""] = part.split("-").map((each) => each.trim());
        return { start_time, end_time };
      }),
    });
  const words = (name: "weekdays" | "days_of_month" | "months" | "years") => ({
    value: (item[name] ?? []).join(", "),
    onChange: (value: string) => set({ [name]: list(value) }),
  });
  return (
    <div class="grid3">
      <Field label="Times">
        <Input value={times} onChange={setTimes} placeholder="any, such as 09:00-17:00" mono />
      </Field>
      <Field label="Weekdays">
        <Input {...words("weekdays")} placeholder="any, such as monday:friday" mono />
      </Field>
      <Field label="Time zone">
        <Combobox value={item.location ?? "UTC"} onChange={(location) => set({ location })} options={ZONES} custom />
      </Field>
      <Field label="Days of the month">
        <Input {...words("days_of_month")} placeholder="any, such as 1:7, -1" mono />
      </Field>
      <Field label="Months">
        <Input {...words("months")} placeholder="any, such as december" mono />
      </Field>
      <Field label="Years">
        <Input {...words("years")} placeholder="any, such as 2027" mono />
      </Field>
      {!isOnly && (
        <div>
          <Button small onClick={() => onChange(undefined)}>
            Remove these times
          </Button>
        </div>
      )}
    </div>
  );
}
