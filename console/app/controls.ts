type Named<T, V> = { readonly [K in keyof T]: T[K] extends V ? K : never }[keyof T];

/** Properties of the controls for members of what a form edits: `<Input {...bind("name")} />`. */
export function controlsOf<T extends object>(values: T, change: (part: Partial<T>) => void) {
  const set = (name: keyof T) => (value: unknown) => change({ [name]: value } as Partial<T>);
  return {
    bind: <K extends keyof T>(name: K) => ({ value: values[name], onChange: set(name) }),
    /** For Switch and Checkbox. */
    flag: (name: Named<T, boolean>) => ({ checked: values[name] as boolean, onChange: set(name) }),
  };
}
