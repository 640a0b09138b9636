/** Fields with their labels: a choice of many, a choice of a few, a slider, a number. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly disabled?: boolean;
}

export interface OptionGroup {
  readonly label: string;
  readonly options: readonly Option[];
}

interface FieldProps<Value> {
  label: string;
  value: Value;
  onChange: (value: Value) => void;
  hint?: ComponentChildren;
  disabled?: boolean;
}

/** A label, what it is of, and a hint below. */
function Field({
  id,
  label,
  hint,
  children,
}: {
  id: string;
  label: ComponentChildren;
  hint: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && <p class="hint">{hint}</p>}
    </div>
  );
}

/** One of many. Options without a group stand first. */
export function Choice({
  label,
  value,
  onChange,
  options,
  groups = [],
  hint,
  disabled,
}: FieldProps<string> & { options: readonly Option[]; groups?: readonly OptionGroup[] }) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint}>
      <select
        id={id}
        class="choice"
        value={value}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        <Options options={options} />
        {groups
          .filter((group) => group.options.length > 0)
          .map((group) => (
            <optgroup key={group.label} label={group.label}>
              <Options options={group.options} />
            </optgroup>
          ))}
      </select>
    </Field>
  );
}

function Options({ options }: { options: readonly Option[] }) {
  return (
    <>
      {options.map((option) => (
        <option key={option.value} value={option.value} disabled={option.disabled}>
          {option.label}
        </option>
      ))}
    </>
  );
}

/** One of a few, all in sight. */
export function Segments({
  label,
  value,
  onChange,
  options,
  disabled,
}: FieldProps<string> & { options: readonly Option[] }) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            disabled={disabled || option.disabled}
            onChange={() => onChange(option.value)}
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}

/** A number between limits, by hand. */
export function Slide({
  label,
  value,
  onChange,
  min,
  max,
  step,
  shown,
  hint,
  disabled,
}: FieldProps<number> & { min: number; max: number; step: number; shown: string }) {
  const id = useId();
  const told = (
    <>
      {label}
      <output class="number" for={id}>
        {shown}
      </output>
    </>
  );
  return (
    <Field id={id} label={told} hint={hint}>
      <input
        id={id}
        class="slide"
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={disabled}
        aria-valuetext={shown}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
    </Field>
  );
}

/** A number by keyboard; empty means null, which is what `placeholder` says. */
export function NumberField({
  label,
  value,
  onChange,
  min,
  max,
  step,
  placeholder,
  hint,
  children,
}: FieldProps<number | null> & {
  min: number;
  max: number;
  step: number;
  placeholder?: string;
  children?: ComponentChildren;
}) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  // What somebody is typing is not touched: "1.0" may become "1.05".
  useLayoutEffect(() => {
    if (document.activeElement !== field.current) field.current!.value = String(value ?? "");
  }, [value]);
  const given = () => {
    const number = field.current!.valueAsNumber;
    return Number.isFinite(number) ? Math.min(max, Math.max(min, number)) : null;
  };
  const input = (
    <input
      ref={field}
      id={id}
      class="input number"
      type="number"
      inputMode="decimal"
      min={min}
      max={max}
      step={step}
      placeholder={placeholder}
      onInput={() => onChange(given())}
      onBlur={() => (field.current!.value = String(value ?? ""))}
    />
  );
  return (
    <Field id={id} label={label} hint={hint}>
      {children ? (
        <div class="with-button">
          {input}
          {children}
        </div>
      ) : (
        input
      )}
    </Field>
  );
}
