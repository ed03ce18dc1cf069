;; A task by hand. The test fills in the places in braces: what `describe` does (it leaves the address of seven pairs
;; of address and length: name, version, description, schema, example, parts, data files) and what `metrics` does (it leaves the
;; address of a result), data from address 1024 on, pages of memory, extra fields that begin the core module, what the
;; component exports as its scorer, its imports, and what of them the core module gets.
(component
  {imports}
  (core module $m
    {extra}
    (memory (export "memory") {pages})
    (func (export "describe") (result i32) {describe})
    (func (export "metrics") (param i32 i32) (result i32) {metrics})
    (func (export "score") (param i32) (result i32) unreachable)
    ;; `metrics` alone is handed something: its config, at 4096.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (data (i32.const 1024) "{data}"))
  (core instance $i (instantiate $m {with}))

  (type $descriptor' (record
    (field "name" string) (field "version" string) (field "description" string) (field "config-schema" string)
    (field "example-config" string) (field "parts" (list string)) (field "data-files" (list string))))
  (export $descriptor "descriptor" (type $descriptor'))
  (type $error-code' (enum
    "invalid-config" "invalid-sample" "model" "denied" "unsupported" "limit" "other"))
  (export $error-code "error-code" (type $error-code'))
  (type $error' (record
    (field "code" $error-code) (field "message" string) (field "detail" (option string))))
  (export $error "error" (type $error'))
  (type $aggregation' (enum
    "mean" "sum" "median" "weighted-mean" "perplexity" "weighted-perplexity" "bits-per-byte" "corpus"))
  (export $aggregation "aggregation" (type $aggregation'))
  (type $metric' (record
    (field "name" string) (field "filter" (option string)) (field "description" string)
    (field "aggregation" $aggregation) (field "higher-is-better" bool)))
  (export $metric "metric" (type $metric'))
  (type $example' (record (field "input" string) (field "target" string)))
  (export $example "example" (type $example'))
  (type $context' (record
    (field "config" string) (field "examples" (list $example)) (field "seed" u64)))
  (export $context "context" (type $context'))
  (type $sample' (record (field "id" string) (field "input" string) (field "repeat" u32)))
  (export $sample "sample" (type $sample'))
  (type $passage' (record (field "id" string) (field "text" string) (field "score" f64)))
  (export $passage "passage" (type $passage'))
  (type $solution' (record
    (field "answer" (option string)) (field "passages" (list $passage)) (field "detail" (option string))))
  (export $solution "solution" (type $solution'))
  (type $measurement' (record
    (field "metric" string) (field "filter" (option string)) (field "value" (option f64)) (field "weight" f64)
    (field "reason" (option string))))
  (export $measurement "measurement" (type $measurement'))

  (func $describe (result $descriptor)
    (canon lift (core func $i "describe") (memory $i "memory") (realloc (func $i "realloc"))))
  (func $metrics (param "config" string) (result (result (list $metric) (error $error)))
    (canon lift (core func $i "metrics") (memory $i "memory") (realloc (func $i "realloc"))))
  (func $score
    (param "context" $context) (param "sample" $sample) (param "solution" $solution) (param "target" string)
    (result (result (list $measurement) (error $error)))
    (canon lift (core func $i "score") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $plugin (export "describe" (func $describe)) (export "metrics" (func $metrics)))
  (export "llm-bench:plugin/plugin@0.1.0" (instance $plugin))
  (instance $scorer {scorer})
  (export "llm-bench:plugin/scorer@0.1.0" (instance $scorer)))
