import { formatNumber, plural } from "../../ui/index.ts";

interface Props {
  readonly label: string;
  readonly rows: readonly { readonly key: string; readonly name: string; readonly values: readonly number[] }[];
}

/** Shades of a cell with a number; the number is in it, too. */
const SHADES = 4;

const hourText = (hour: number): string => String(hour).padStart(2, "0");

/** Numbers by hour as shaded cells, a line for each person; a phone shows each hour in its cell. As a table for screen readers. */
export function HeatMap({ label, rows }: Props) {
  const most = Math.max(1, ...rows.flatMap(({ values }) => values));
  const hours = rows[0]?.values.map((_, hour) => hour) ?? [];
  return (
    <figure class="heat" aria-label={label}>
      <div aria-hidden="true">
        <div class="heat-row heat-head">
          <span />
          <span class="heat-cells">
            {hours.map((hour) => (
              <span key={hour}>{hourText(hour)}</span>
            ))}
          </span>
        </div>
        {rows.map(({ key, name, values }) => (
          <div class="heat-row" key={key}>
            <bdi class="heat-name">{name}</bdi>
            <span class="heat-cells">
              {values.map((n, hour) => (
                <span
                  key={hour}
                  class={`heat-cell heat-${n === 0 ? 0 : Math.ceil((n / most) * SHADES)}`}
                  title={`${hourText(hour)}:00: ${plural(n, "page")}`}
                >
                  <i>{hourText(hour)}</i>
                  {n > 0 && formatNumber(n)}
                </span>
              ))}
            </span>
          </div>
        ))}
      </div>
      <div class="sr-only">
        <table>
          <caption>{label}</caption>
          <thead>
            <tr>
              <th scope="col">Person</th>
              {hours.map((hour) => (
                <th scope="col" key={hour}>{`${hourText(hour)}:00`}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, name, values }) => (
              <tr key={key}>
                <th scope="row">{name}</th>
                {values.map((n, hour) => (
                  <td key={hours[hour]}>{n}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
