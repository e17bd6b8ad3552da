/** While it is on no message is dispatched and no publication begins: another broker may serve the topics by now. */
export interface Suspension {
  readonly isOn: boolean
}
