//! Days and seconds since 1970 as dates and times. Knows no time zones and no clock.

/// Year, month and day of the proleptic Gregorian calendar, counted in eras of 400 years that
/// begin on 1 March so that the leap day is the last of its year.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Year, month, day, hour, minute and second, in UTC.
pub fn civil_from_seconds(seconds: i64) -> [i64; 6] {
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    [year, month, day, hour, minute, second % 60]
}

const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_times_before_1970_too() {
        for (seconds, expected) in [
            (1_795_638_400, [2026, 11, 25, 20, 26, 40]),
            (86_399, [1970, 1, 1, 23, 59, 59]),
            (-1, [1969, 12, 31, 23, 59, 59]),
        ] {
            assert_eq!(civil_from_seconds(seconds), expected);
        }
    }

    #[test]
    fn days_become_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_783, (2026, 11, 26)),
        ] {
            assert_eq!(civil_from_days(days), date);
        }
    }
}
