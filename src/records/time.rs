//! A time as RFC 3339 writes it.

/// Seconds since 1970 as `2026-11-25T09:30:00Z`.
pub(super) fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{}T{hour:02}:{minute:02}:{:02}Z", date(days), second % 60)
}

/// The date so many days after 1970-01-01, in the Gregorian calendar. Source: Hinnant, chrono-compatible
/// low-level date algorithms, `civil_from_days`: years begin in March, eras have 400 of them.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let told = [0, 951_782_399, 951_782_400, 1_732_525_445, -1].map(rfc3339);
        let wanted = [
            "1970-01-01T00:00:00Z",
            "2000-02-28T23:59:59Z",
            "2000-02-29T00:00:00Z",
            "2024-11-25T09:04:05Z",
            "1969-12-31T23:59:59Z",
        ];
        assert_eq!(told, wanted);
    }
}
