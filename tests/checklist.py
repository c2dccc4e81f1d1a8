"""The security checklist (OWASP API 2023, ASVS 5.0): what is promised, and the tests that hold it.

`tests/unit/test_checklist.py` fails where one of them is gone.
"""

_LIMITS, _SIGN_IN = "tests/store/test_limits.py", "tests/store/test_sign_in.py"
_HOSTILE, _COSTS = "tests/store/test_hostile.py", "tests/store/test_costs.py"
_ISOLATION, _MEMBERS = "tests/store/test_isolation.py", "tests/store/test_members.py"
_MAIN_JOB, _AUTH = "tests/store/test_main_job.py", "tests/system/test_auth.py"
_OUTBOUND, _ADDRESSES = "tests/unit/core/test_outbound.py", "tests/unit/core/test_addresses.py"

CHECKLIST: dict[str, tuple[str, ...]] = {
    "1. Every route with a foreign id: 404 like an unknown one, no write, no event (API1, V8.2.2, V8.4.1)": (
        f"{_ISOLATION}::test_another_institutions_resource_is_like_one_that_is_not_there",
        f"{_ISOLATION}::test_foreign_ids_in_queries_and_bodies_tell_nothing",
        f"{_ISOLATION}::test_a_cursor_of_another_institution_is_refused",
    ),
    "2. Every route without its ability: 403 naming it (API5, V8.2.1)": (
        f"{_ISOLATION}::test_a_token_without_the_ability_is_told_which",
        f"{_ISOLATION}::test_a_learner_acts_for_nobody_else",
    ),
    "3. No token wider than its maker; a changed role acts at once (V8.3.2)": (
        f"{_AUTH}::test_a_token_cannot_grant_more_than_it_has",
        f"{_ISOLATION}::test_a_narrow_token_is_not_told_the_wide_one_of_the_same_key",
        f"{_ISOLATION}::test_a_tokens_children_live_no_longer_than_it",
        f"{_MEMBERS}::test_a_changed_role_acts_on_the_next_call_of_every_token",
        f"{_MEMBERS}::test_who_is_deactivated_is_out_and_stays_out",
        f"{_MEMBERS}::test_a_token_made_at_the_same_moment_does_not_keep_the_old_role",
    ),
    "4. Missing, malformed, bad checksum (no read), revoked, expired: 401": (
        f"{_ISOLATION}::test_without_a_token_nothing_is_done",
        f"{_HOSTILE}::test_a_header_that_is_no_token_is_only_counted_for_its_address",
        "tests/unit/core/test_tokens.py::test_every_single_change_is_refused",
        f"{_LIMITS}::test_an_expired_token_is_gone_before_it_is_swept_and_use_prolongs_nothing",
        f"{_LIMITS}::test_whoever_guesses_tokens_is_stopped_by_address",
    ),
    "5. Wrong password and unknown address: same answer, same time; throttled (API2, V6.3.8)": (
        f"{_SIGN_IN}::test_either_path_makes_the_same_calls_and_one_verification",
        f"{_SIGN_IN}::test_a_wrong_password_takes_as_long_as_an_unknown_address",
        f"{_SIGN_IN}::test_an_account_is_throttled_at_one_address_whether_it_exists_or_not",
        f"{_SIGN_IN}::test_an_account_is_throttled_over_all_addresses",
        f"{_SIGN_IN}::test_an_address_is_throttled_over_all_accounts",
    ),
    "6. Passwords: 64+ characters, any composition, common ones refused (V6.2.4 to V6.2.11)": (
        f"{_SIGN_IN}::test_any_other_composition_is_taken_to_its_last_character",
        f"{_SIGN_IN}::test_a_password_that_anyone_would_guess_is_refused",
    ),
    "7. Secrets shown once; the logs of the whole system run hold none (V16.2.5)": (
        "tests/system/test_webhooks.py::test_a_secret_is_shown_once_and_replayed_sealed",
        "tests/system/test_written_logs.py::test_no_secret_and_no_person_is_in_any_log",
    ),
    "8. Unknown or read-only body fields: 422 (API3, V15.3.3)": (
        f"{_HOSTILE}::test_a_field_that_is_not_the_callers_to_set_is_named",
        f"{_HOSTILE}::test_a_query_that_nobody_declared_is_named",
    ),
    "9. Answers carry no field outside the schema (API3, V15.3.1)": (
        f"{_COSTS}::test_answers_show_what_is_declared_and_no_more",
    ),
    "10. 429 exact under 50 threads; waiting Retry-After passes (API4)": (
        f"{_AUTH}::test_many_at_once_get_exactly_the_limit_of_a_minute",
        f"{_AUTH}::test_whoever_waits_as_long_as_told_gets_through",
        f"{_LIMITS}::test_fifty_threads_by_clocks_one_window_apart_get_the_limit_of_each_window",
        f"{_LIMITS}::test_no_window_ever_admits_more_and_whoever_waits_gets_through",
        f"{_LIMITS}::test_a_minute_that_is_spent_says_when_to_come_back",
    ),
    "11. per_page=101, deep JSON, a body of 1 MiB: bounded, 413 or 422": (
        "tests/unit/core/test_paging.py::test_a_page_size_out_of_bounds_is_refused",
        "tests/unit/core/test_paging.py::test_a_page_number_alone_reaches_only_so_deep",
        f"{_HOSTILE}::test_what_two_parsers_could_read_differently_is_malformed",
        f"{_ISOLATION}::test_a_body_full_of_faults_gets_a_short_answer",
    ),
    "13. SSRF: private, link-local, NAT64, mapped, decimal, rebinding, redirect, userinfo (API7, V15.3.2)": (
        f"{_ADDRESSES}::test_addresses_that_are_not_public",
        f"{_ADDRESSES}::test_urls_that_are_refused",
        f"{_OUTBOUND}::test_a_host_with_one_bad_address_is_not_contacted",
        f"{_OUTBOUND}::test_a_literal_does_not_pass_around_the_check_by_a_lenient_resolver",
        "tests/system/test_webhooks.py::test_a_url_that_is_not_public_is_refused",
    ),
    "14. Client headers cannot set address or institution (V4.1.3, V15.3.4)": (
        f"{_LIMITS}::test_a_client_cannot_choose_its_address_or_institution",
    ),
    "15. Only declared methods; 405 with Allow (V4.1.4)": (
        f"{_AUTH}::test_an_unknown_path_and_an_undeclared_method_are_told_apart",
        f"{_AUTH}::test_head_is_get_without_a_body_and_options_tells_what_is_allowed",
    ),
    "16. Content-Type with charset right everywhere (V4.1.1)": (
        f"{_COSTS}::test_every_answer_says_what_it_is",
        f"{_AUTH}::test_a_body_that_breaks_the_rules_is_a_problem",
    ),
    "17. A 500 shows nothing and logs the request id (V16.5.1, V16.5.4)": (
        f"{_HOSTILE}::test_a_fault_is_logged_with_the_request_and_not_told",
    ),
    "18. DynamoDB away: 5xx, never an unlimited or anonymous pass (V16.5.3)": (
        f"{_HOSTILE}::test_without_dynamodb_nobody_gets_in_and_nothing_is_shown",
        f"{_HOSTILE}::test_dynamodb_that_goes_in_the_middle_is_an_error_and_never_half_an_answer",
    ),
    "19. NUL, CR/LF, lone surrogates, 1e400, duplicate JSON keys: 4xx, never 500": (
        f"{_HOSTILE}::test_what_two_parsers_could_read_differently_is_malformed",
        f"{_HOSTILE}::test_a_hostile_path_is_not_found",
        f"{_HOSTILE}::test_a_key_that_is_none_is_refused",
        f"{_SIGN_IN}::test_what_cannot_be_seen_has_no_place_in_an_address",
        f"{_SIGN_IN}::test_names_are_one_line",
    ),
    "20. A newline in any field stays one log line (V16.4.1)": (
        f"{_HOSTILE}::test_a_line_break_in_any_field_stays_in_one_log_line",
    ),
    "21. A crash before any AWS call of any write: state before or after, events right (V2.3.3)": (
        "tests/store/test_dying.py::test_a_write_that_dies_has_happened_or_not_and_can_be_repeated",
        "tests/store/test_soak.py::test_every_event_arrives_and_is_recorded_once",
    ),
    "22. A message twice, late, out of order, truncated, poison: no change; DLQ only for bugs": (
        f"{_MEMBERS}::test_a_plan_event_may_come_twice_late_and_out_of_order",
        f"{_MAIN_JOB}::test_an_event_of_a_process_that_died_before_publication_arrives_once_in_effect",
        "tests/unit/core/test_workers.py::test_poison_keeps_nothing_else_back",
        "tests/system/test_webhooks.py::test_poison_drags_no_neighbour_to_the_dead_letters",
        "tests/system/test_chalice_deploy.py::test_poison_drags_no_neighbour_to_the_dead_letters",
    ),
    "23. Throttling, conflict, partial batch failure: retried within the deadline": (
        f"{_LIMITS}::test_a_token_that_is_being_rewritten_is_asked_again",
        "tests/unit/core/test_store.py::test_a_conflict_is_tried_again_and_steps_run_after_the_commit",
        "tests/unit/core/test_store.py::test_endless_conflicts_are_a_409_that_says_when_to_return",
        "tests/unit/core/test_workers.py::test_a_failed_message_waits_longer_each_time",
    ),
    "24. Leap day, summer time in the learner's zone, a clock that is 5 minutes off": (
        "tests/unit/learning/test_streaks.py::test_a_streak_runs_over_a_leap_day_and_the_changes_of_the_clock",
        "tests/unit/learning/test_recording.py::test_a_clock_that_is_five_minutes_off_is_believed",
        "tests/unit/learning/test_recording.py::test_a_time_out_of_bounds_is_refused",
        "tests/unit/exports/test_service.py::test_a_leap_year_is_a_span",
    ),
    "25. Paths of the code are those of the document (API9); answers of others bounded, validated (API10)": (
        "tests/unit/core/test_openapi.py::test_every_endpoint_is_in_it_with_who_may_call",
        f"{_OUTBOUND}::test_an_endless_body_is_cut",
        f"{_OUTBOUND}::test_nothing_of_an_answer_reaches_a_log",
    ),
}

NOT_YET: dict[str, str] = {
    "12. Trial, promo, checkout raced: once (API6, V2.3.4)": "billing has no endpoint",
    "26. Dashboard: CSRF refused, CSP, cookie flags, no token in HTML or URL": "there is no dashboard",
}
