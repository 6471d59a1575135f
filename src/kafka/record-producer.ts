/** Produces the records of slabs to one topic, acknowledged one and all. */
export interface RecordProducer {
  /** Resolves when a broker has answered. Rejects with KafkaUnavailableError; then nothing else may be called. */
  connect(timeoutMs: number): Promise<void>
  /**
   * Resolves when each record is acknowledged or refused for its size, with the indexes of those that were. Rejects with
   * Kafka's error when another fault met one of them: then each may or may not be there. The slab must not be changed; offsets
   * in it mean nothing here.
   */
  send(slab: ArrayBuffer): Promise<readonly number[]>
  /** Waits for what was sent, within the deadline, then disconnects. Once; nothing may be called afterwards. */
  disconnect(timeoutMs: number): Promise<void>
}
