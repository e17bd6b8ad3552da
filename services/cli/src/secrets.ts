/*
  What lets somebody in who knows it is recognized by the name of its field or setting. It stands in no output and in no list of
  processes, whoever put it where it is.
*/

/** In place of what is not shown. */
export const HIDDEN = '***'

const SECRET_NAME =
  /^(tokenSecretKey|basicAuthConf|strataOtlpMetricsHeaders|\w*(authenticationParameters|secret|password))$/i

/** Of a setting, of a field of a cluster, or of a field of a policy. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** The same with `HIDDEN` for each secret, however deep. What is empty is shown: it is none. */
export function withSecretsHidden(value: unknown): unknown {
  return mapped(value, () => HIDDEN)
}

/** The same without any secret, however deep. `onOmission` is told the names of the fields. */
export function withoutSecrets(value: unknown, onOmission: (field: string) => void): unknown {
  return mapped(value, field => {
    onOmission(field)
    return undefined
  })
}

/** With secrets of `before` where `value` has none: those that no file has stay what they are. */
export function keepingSecrets(value: unknown, before: unknown): unknown {
  if (!isFields(value) || !isFields(before)) return value
  return { ...Object.fromEntries(Object.entries(before).filter(([name]) => isSecretName(name))), ...value }
}

function mapped(value: unknown, replace: (field: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map(each => mapped(each, replace))
  if (!isFields(value)) return value
  const entries = Object.entries(value).map(([name, each]) => {
    const isSecret = isSecretName(name) && each !== '' && each !== null
    return [name, isSecret ? replace(name) : mapped(each, replace)] as const
  })
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined))
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
